"""The Pythons that pyproject.toml names, where they are to be had besides the one that runs this.

torch is not installed for them: tried are the command line up to its verbs, and all that stands
without torch (theory, reading, record).
"""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.installed.closure import PROJECT, ROOT

NAMED = [each.rpartition(" ")[2] for each in PROJECT["classifiers"] if "Python :: 3." in each]
OTHERS = [version for version in NAMED if version != f"3.{sys.version_info.minor}"]
NEEDED = (
    *("numpy", "pandas", "pyarrow", "safetensors", "filelock"),
    *("scipy", "hypothesis", "pytest"),
)
# They train, or watch a training, to have something to read.
WITH_TORCH = (
    "tests/reading/test_door.py",
    "tests/reading/test_history.py",
    "tests/reading/test_optimizers.py",
    "tests/reading/test_rounding.py",
    "tests/record/test_checkpoints.py",
    "tests/record/test_folder.py",
    "tests/record/test_tensorboard.py",
)
SILENT = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ["PATH"]}


@cache
def interpreter(version):
    """The path of a Python ``version``, on the path or among pyenv's; None: not to be had."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for found in (f"python{version}", *sorted(pyenv.glob(f"{version}.*/bin/python"))):
        program = "import sys; print(sys.executable, '%d.%d' % sys.version_info[:2])"
        try:
            done = subprocess.run([found, "-c", program], capture_output=True, text=True)
        except OSError:
            continue
        path, _, said = done.stdout.strip().rpartition(" ")
        if said == version:
            return path
    return None


def needed(version):
    path = interpreter(version)
    if path is None:
        pytest.skip(f"there is no Python {version} here")
    return path


def test_the_least_python_is_named():
    assert PROJECT["requires-python"] == f">={NAMED[0]}"


@pytest.mark.parametrize("version", OTHERS)
def test_every_file_compiles_without_a_warning(version):
    program = (
        "import pathlib, sys\n"
        "for path in sorted(pathlib.Path(sys.argv[1]).rglob('*.py')):\n"
        "    compile(path.read_text(encoding='utf-8'), str(path), 'exec', dont_inherit=True)\n"
        "print('compiled')"
    )
    command = [needed(version), "-W", "error", "-c", program]
    for folder in ("limitcycle", "examples"):
        done = subprocess.run(
            [*command, str(ROOT / folder)], capture_output=True, text=True, timeout=60
        )
        assert done.stdout == "compiled\n", done.stderr[-2000:]


@pytest.mark.parametrize("version", OTHERS)
def test_the_command_line_helps_and_corrects(version, tmp_path):
    command = [needed(version), "-W", "error", "-m", "limitcycle"]
    options = {"capture_output": True, "text": True, "timeout": 60, "env": SILENT, "cwd": tmp_path}
    for verb in ("demo", "train", "map", "paper", "report", "diagnose", "probe"):
        done = subprocess.run([*command, verb, "--help"], **options)
        assert done.returncode == 0 and not done.stderr, done.stderr
    done = subprocess.run([*command, "trian"], **options)
    assert (done.returncode, done.stderr[:46]) == (
        2,
        "limitcycle: unknown verb 'trian': did you mean",
    )


@pytest.mark.slow
@pytest.mark.parametrize("version", OTHERS)
def test_all_that_needs_no_torch_passes_its_tests(version, tmp_path):
    python = needed(version)
    subprocess.run([python, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    inside = tmp_path / "venv" / "bin" / "python"
    install = ["-m", "pip", "--python", inside, "install", "--quiet", "--no-compile"]
    pins = ["-c", ROOT / "constraints.txt"]
    done = subprocess.run([sys.base_prefix + "/bin/python3", *install, *pins, *NEEDED])
    assert done.returncode == 0
    tests = ["tests/theory", "tests/reading", "tests/record"]
    ignored = [f"--ignore={path}" for path in WITH_TORCH]
    quiet = ["-p", "no:cacheprovider", "-o", "addopts=", "-q", "-m", "not slow"]
    done = subprocess.run(
        [inside, "-m", "pytest", *quiet, f"--basetemp={tmp_path / 'tests'}", *tests, *ignored],
        capture_output=True,
        text=True,
        timeout=900,
        cwd=ROOT,
        env={**SILENT, "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout[-3000:]
