"""Real environments: the wheel with the base alone, and with each extra by itself.

torch is installed once. What an extra brings besides is laid over the base with ``pip install
--target``; which distributions these are, and in which versions, is known from here.
"""

import os
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from limitcycle.extras import MODULES
from tests.installed.closure import BASE, EXTRAS, ROOT, closure

pytestmark = pytest.mark.slow
USES = Path(__file__).with_name("uses.py")
PIP = ("install", "--quiet", "--no-deps", "--no-compile")


def pip(*arguments):
    """The pip of the Python that made the tests' environment, which may have none of its own."""
    python = Path(sys.base_prefix) / "bin" / "python3"
    command = [python, "-m", "pip", *map(str, arguments)]
    # With a checkout on the path pip would take what it is to install for installed.
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, env=plain)
    assert done.returncode == 0, done.stderr[-2000:]


def pinned(distributions):
    return [f"{each.name}=={each.version.partition('+')[0]}" for each in distributions]


def used(python, name, folder, overlay=None):
    """What went wrong when the installation was used; empty where nothing did."""
    work = folder / f"work-{name}"
    work.mkdir()
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder), "OMP_NUM_THREADS": "1"}
    variables |= {"PYTHONPATH": str(overlay)} if overlay else {}
    command = [python, str(USES), name, str(work)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=600, env=variables, cwd=folder
    )
    if done.returncode == 0 and done.stdout.endswith("used\n"):
        return ""
    return f"{name}: {done.stderr[-1500:]}"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Python of an environment in which the wheel and the base's distributions are installed."""
    folder = tmp_path_factory.mktemp("base")
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=600)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    (wheel,) = folder.glob("*.whl")
    python = folder / "venv" / "bin" / "python"
    pip("--python", python, *PIP, wheel, *pinned(closure(BASE).values()))
    yield python
    shutil.rmtree(folder)


def test_the_base_and_each_extra_by_itself_do_what_they_are_for(base, tmp_path):
    """In one test, so that no two workers install torch; all that fails is named at its end."""
    pip("--python", base, "check")
    problems = [used(base, "base", tmp_path)]
    here = closure(BASE)
    for extra in MODULES:
        try:
            brought = closure([*BASE, *EXTRAS[extra]])
        except PackageNotFoundError as problem:
            problems.append(f"{extra}: not installed here ({problem})")
            continue
        overlay = tmp_path / extra
        over = pinned(each for name, each in brought.items() if name not in here)
        pip("--python", base, *PIP, "--target", overlay, *over)
        problems.append(used(base, extra, tmp_path, overlay))
        shutil.rmtree(overlay)
    assert not list(filter(None, problems)), "\n\n".join(problems)
