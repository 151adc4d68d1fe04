"""The examples, as they are: a script in a process of its own, no network, a folder that loads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import limitcycle as lc

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
OFFLINE = {"HF_HUB_OFFLINE": "1", "HTTPS_PROXY": "http://127.0.0.1:9", "PYTHONPATH": str(ROOT)}


def run(name, folder, steps):
    command = [sys.executable, str(EXAMPLES / name), str(folder), str(steps)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=500, env={**os.environ, **OFFLINE}
    )
    assert done.returncode == 0, done.stderr
    return done, lc.load(folder)


def check(done, run, steps):
    assert list(run.steps["step"]) == list(range(steps))
    assert run.steps[["loss", "norm", "effective_lr", "rotation"]].notna().all(axis=None)
    assert run.status == {"state": "done", "step": steps, "reason": ""}
    said = [line for line in done.stderr.splitlines() if line.startswith("limitcycle: ")]
    assert len(said) == 1
    found = lc.diagnose(run.steps)
    assert said[0] == f"limitcycle: {found.headline}."
    return found.label


@pytest.mark.slow
def test_a_plain_loop_is_watched(tmp_path):
    done, found = run("plain.py", tmp_path / "run", 40)
    check(done, found, 40)
    assert set(found.groups["group"]) == {"0.weight", "1.weight (+1)", "3.weight", "other"}


@pytest.mark.slow
def test_a_plain_loop_jumps_periodically(tmp_path):
    done, found = run("plain.py", tmp_path / "run", 1000)
    assert check(done, found, 1000) == "periodic"
    assert "cap=True)" in done.stderr


@pytest.mark.slow
def test_lightning_jumps_periodically(tmp_path):
    done, found = run("lightning_example.py", tmp_path / "run", 1500)
    assert check(done, found, 1500) == "periodic"
    assert "cap=True)" in done.stderr
    groups = {"net.0.weight", "net.1.weight (+1)", "net.3.weight", "other"}
    assert set(found.groups["group"]) == groups


@pytest.mark.slow
def test_transformers_converges(tmp_path):
    done, found = run("transformers_example.py", tmp_path / "run", 100)
    assert check(done, found, 100) == "converging"
    assert found.steps["loss"].iloc[-10:].mean() < 0.1 < found.steps["loss"].iloc[0]
    # The learning rate comes down to zero, so nothing grows, and nothing is to be done.
    rates = found.steps["effective_lr"].to_numpy()
    assert rates[-1] < rates[len(rates) // 2] / 10
    assert "Nothing to do: the learning rate falls faster than the norm" in done.stderr
    assert "no jump to judge by, and a schedule is changing the learning rate." in done.stderr
    assert "decay or" not in done.stderr and "experience" not in done.stderr


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(EXAMPLES.glob("*.py")) if not path.stem.startswith("story")],
    ids=lambda path: path.stem,
)
def test_an_example_is_short_and_says_what_was_added(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 50
    assert text.count("# ← limitcycle") == 2
