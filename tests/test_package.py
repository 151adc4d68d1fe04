"""The package as it is installed: the wheel, and what it needs."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXTRAS = ("datasets", "matplotlib", "plotly", "rich", "PIL")

WITHOUT_EXTRAS = f"""
import sys
from importlib.abc import MetaPathFinder
class Refuse(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {EXTRAS!r}:
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import limitcycle.lab, limitcycle.symmetry, limitcycle.report
run = limitcycle.train(limitcycle.Run(steps=30, width=16), sys.argv[1])
print(limitcycle.diagnose(run.steps).label)
"""


@pytest.mark.slow
def test_lab_and_library_run_without_the_extras(tmp_path):
    """Digits alone need scikit-learn; a bare machine with torch and pandas can train."""
    command = [sys.executable, "-c", WITHOUT_EXTRAS, str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "converging" or done.stdout.strip() in ("equilibrium", "stuck")


@pytest.mark.slow
def test_wheel_holds_everything(tmp_path):
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "limitcycle").rglob("*.py")}
    assert modules <= names
    assert {"limitcycle/py.typed", "limitcycle/report/assets/page.html"} <= names
    assert not [name for name in names if name.startswith("tests")]
