"""Ctrl-C, SIGTERM, SIGHUP: a clean stop of every long verb; never taken over from a user."""

import contextlib
import os
import pty
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import torch
from rich.console import Console

import limitcycle as lc
from limitcycle.cli.bars import interruptible
from limitcycle.cli.main import main
from limitcycle.lab import Job, sweep
from limitcycle.record import Run, load_all

SMALL = ["--width", "16", "--train-size", "300", "--test-size", "100", "--steps", "1000000"]
GRID = ["train", *SMALL, "--lr", "0.1", "1", "--workers", "2"]
LONG = ["map", *SMALL, "--units", "1e6", "--lr", "0.1:1:2", "--weight-decay", "0.001:0.01:2"]


@pytest.fixture
def started(tmp_path):
    """Start a command that leads a session and trains in ``tmp_path``; end what is left of it."""
    commands = []
    with tempfile.TemporaryDirectory() as temporary:

        def start(arguments, before=(), **options):
            environment = {**os.environ, "TMPDIR": temporary}
            process = subprocess.Popen(
                [*before, sys.executable, "-m", "limitcycle", *arguments, "--out", str(tmp_path)],
                env=environment,
                **{"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL, **options},
                text=True,
                start_new_session=True,
            )
            commands.append(process)
            return process

        try:
            yield start
            for process in commands:
                wait_until(lambda process=process: not session_of(process.pid))
            kept = {path.name for path in Path(temporary).iterdir()}
            assert not {name for name in kept if not name.startswith("torchinductor")}
        finally:
            for process in commands:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert condition()


def session_of(leader):
    listed = subprocess.run(
        ["ps", "-o", "pid=,stat=", "-s", str(leader)], capture_output=True, text=True
    )
    return [line for line in listed.stdout.splitlines() if "Z" not in line]


def under_way(folder, count):
    """Whether so many runs have begun."""
    return len(list(folder.rglob("status.json"))) >= count


def assert_stopped(folder):
    """Those that were under way are stopped, with all their rows under a checkpoint."""
    stopped = [run for run in load_all(folder) if run.status["state"] == "stopped"]
    assert stopped
    for run in stopped:
        assert run.status["step"] == len(run.steps)
        assert len(run.steps) == (run.checkpoint().completed if len(run.steps) else 0)


VERBS = [
    pytest.param(GRID, 2, id="grid", marks=pytest.mark.slow),
    pytest.param(["train", *SMALL], 1, id="single", marks=pytest.mark.slow),
    pytest.param(LONG, 2, id="map", marks=pytest.mark.slow),
    pytest.param(["paper", "2", "--workers", "2"], 2, id="paper", marks=pytest.mark.slow),
    pytest.param(["demo", "--workers", "2"], 2, id="demo", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("arguments", "runs"), VERBS)
@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGTERM, marks=pytest.mark.slow), signal.SIGHUP]
)
def test_a_signal_to_all_processes_is_a_clean_stop(arguments, runs, number, tmp_path, started):
    process = started(arguments)
    wait_until(lambda: under_way(tmp_path, runs))
    os.killpg(process.pid, number)
    _, said = process.communicate(timeout=90)
    assert process.returncode == 130, said
    assert "Traceback" not in said and "the same command goes on" in said
    assert_stopped(tmp_path)


@pytest.mark.slow
def test_a_terminal_that_closes_is_a_clean_stop(tmp_path, started):
    ours, terminal = pty.openpty()
    process = started(
        GRID,
        before=["setsid", "--ctty", "--wait"],  # the terminal is the command's own
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    wait_until(lambda: os.read(ours, 1_000) and under_way(tmp_path, 2))
    os.close(ours)
    process.wait(90)
    wait_until(lambda: {run.status["state"] for run in load_all(tmp_path)} == {"stopped"})
    assert_stopped(tmp_path)


@pytest.mark.slow
def test_nohup_is_nohup_and_sigterm_is_heard(tmp_path, started):
    process = started(GRID, before=["nohup"])
    wait_until(lambda: under_way(tmp_path, 2))
    for _ in range(3):
        os.killpg(process.pid, signal.SIGHUP)
    time.sleep(1)
    assert process.poll() is None
    assert {run.status["state"] for run in load_all(tmp_path)} == {"running"}
    os.killpg(process.pid, signal.SIGTERM)
    _, said = process.communicate(timeout=90)
    assert process.returncode == 130, said
    assert_stopped(tmp_path)


def test_only_a_second_ctrl_c_ends_at_once():
    with interruptible(Console(quiet=True)) as asked:
        assert not asked()
        for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM, signal.SIGTERM):
            os.kill(os.getpid(), number)
        assert asked()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.slow
def test_the_library_leaves_the_users_signals_alone(tmp_path):
    def ours():
        handled = [number for number in signal.valid_signals() if number not in (9, 19)]
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        return {number: signal.getsignal(number) for number in handled}, mask

    before, seen = ours(), []
    small = {"width": 8, "train_size": 64, "test_size": 20, "batch_size": 32, "steps": 4}
    lc.train(Run(**small), tmp_path / "run", progress=lambda _: seen.append(ours()))
    jobs = [Job(Run(**small, seed=at), tmp_path / str(at)) for at in (1, 2)]
    sweep(jobs, workers=1, progress=lambda *_: seen.append(ours()))
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with lc.watch(model, optimizer, sink=tmp_path / "watched", quiet=True) as w:
        loss = model(torch.ones(4, 3)).square().mean()
        loss.backward()
        optimizer.step()
        w.log(loss=loss)
        seen.append(ours())
    assert len(seen) >= 4
    assert all(each == before for each in [*seen, ours()])


_LOADING = """
import os, sys
from limitcycle import forkserver
from limitcycle.cli import main as cli

load = cli.import_module
def import_module(name):
    if name == "limitcycle.forkserver":
        return load(name)
    print(forkserver._server.process.pid, flush=True)
    os.kill(os.getpid(), int(sys.argv[1]))

cli.import_module = import_module
cli.main(["train", "--lr", "0.1", "1", "--out", "nowhere"])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_while_modules_load_each_signal_ends_it_at_once(number):
    command = [sys.executable, "-c", _LOADING, str(int(number))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 130
    assert done.stderr == "limitcycle: interrupted; the same command goes on\n"
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_where_nothing_is_trained_each_signal_is_like_ctrl_c(number, monkeypatch, capsys):
    def interrupted(_options):
        os.kill(os.getpid(), number)
        time.sleep(10)

    before = signal.getsignal(number)
    monkeypatch.setattr("limitcycle.cli.show.diagnose", interrupted)
    assert main(["diagnose", "x"]) == 130
    assert capsys.readouterr().err == "limitcycle: interrupted; the same command goes on\n"
    assert signal.getsignal(number) == before
