"""SIGKILL at every write and at random moments: what remains goes on and ends the same."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

KILLS = [
    pytest.param("some-writes", 4, marks=pytest.mark.slow),
    pytest.param("writes", 40, marks=pytest.mark.slow),
    pytest.param("random", 12, marks=pytest.mark.slow),
    pytest.param("together", 15, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("how", "at_least"), KILLS)
def test_killed_runs_end_bit_identical(how, at_least, tmp_path):
    command = [sys.executable, "-m", "tests.lab.kill_driver", how, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[0]) >= at_least, done.stdout
