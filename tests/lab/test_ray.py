"""A real cluster of two nodes: one is killed in the middle, and nothing is missing in the end."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from limitcycle.lab import sweep, train
from limitcycle.record import Run, load, load_all
from tests.lab.kill_driver import assert_equal
from tests.lab.nodes import ROOT, Node, beside, head, session_of, wait_until
from tests.lab.ray_driver import jobs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed"),
]
STEPS = 7_000


@pytest.fixture(scope="module")
def cluster():
    with head() as node:
        yield node
    assert session_of(node.process.pid) == []
    assert not node.folder.exists()


@contextmanager
def started(*command: object) -> Iterator[subprocess.Popen]:
    whole = [sys.executable, "-W", "error", "-m", *map(str, command)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(whole, cwd=ROOT, text=True, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def test_runs_of_a_lost_node_go_on_elsewhere_and_end_in_the_same_bits(cluster, tmp_path):
    storage, out = tmp_path / "storage", tmp_path / "out"
    command = ("tests.lab.ray_driver", cluster.address, storage, out, STEPS)
    with beside(cluster) as other, started(*command) as driver:
        wait_until(lambda: driver.poll() is not None or in_the_middle(other, storage), 240)
        other.kill()
        said, complaints = driver.communicate(timeout=400)
    assert driver.returncode == 0, complaints
    assert said.count("state='done'") == 4, said
    (step,) = re.findall(r"NodeDiedError\), another goes on from step ([\d,]+)", said)
    assert 0 < int(step.replace(",", "")) < STEPS
    assert list(cluster.work.glob("limitcycle-*")) == []
    here = jobs(tmp_path / "here", STEPS)
    sweep(here, workers=2, threads=1)
    for mine, theirs in zip(here, jobs(out, STEPS), strict=True):
        assert_equal(mine.out, theirs.out)


def in_the_middle(node: Node, storage: Path) -> bool:
    """Whether a run that the node is at has a checkpoint in the storage, and its end before it."""
    for run in node.work.glob("limitcycle-*/run/run.json"):
        copy = storage / load(run.parent).description.identity
        names = sorted(path.stem for path in copy.glob("checkpoints/*.safetensors"))
        if names and int(names[-1].removeprefix("step-")) < STEPS / 2:
            return True
    return False


def test_ctrl_c_brings_checkpoints_home_and_the_same_command_goes_on(cluster, tmp_path):
    grid = ["--lr", "0.3", "1", "--width", "16", "--steps", "10000"]
    where = ["--on", "ray", "--storage", tmp_path / "storage", "--address", cluster.address]
    command = ["limitcycle", "train", *grid, *where, "--out", tmp_path / "out"]
    with started(*command) as first:
        wait_until(lambda: list(cluster.work.glob("limitcycle-*/run/status.json")), 120)
        first.send_signal(signal.SIGINT)
        said = first.communicate(timeout=120)[1]
    assert first.returncode == 130, said
    assert "the same command goes on" in said
    assert {run.status["state"] for run in load_all(tmp_path / "out")} == {"stopped"}
    with started(*command) as second:
        said = second.communicate(timeout=300)[1]
    assert second.returncode == 0, said
    assert "2 of 2 runs done" in said
    assert all(len(run.steps) == 10_000 for run in load_all(tmp_path / "out"))


def test_a_cluster_is_reached_from_outside_too(cluster, tmp_path):
    """By Ray's client: then this machine is no node."""
    small = ["--width", "8", "--train-size", "300", "--test-size", "100", "--steps", "30"]
    where = ["--on", "ray", "--storage", tmp_path / "storage", "--address", cluster.client]
    command = ["limitcycle", "train", *small, *where, "--out", tmp_path / "out"]
    with started(*command) as driver:
        said = driver.communicate(timeout=200)[1]
    assert driver.returncode == 0, said
    train(Run(width=8, train_size=300, test_size=100, steps=30), tmp_path / "here", threads=1)
    assert_equal(tmp_path / "here", tmp_path / "out")
