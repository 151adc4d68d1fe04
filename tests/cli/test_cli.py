"""The command line as a user meets it: what it prints, how it ends, what it imports."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from limitcycle import forkserver
from limitcycle.cli.main import main
from limitcycle.cli.train import report_outcomes
from limitcycle.cli.verbs import VERBS
from limitcycle.lab import Outcome
from limitcycle.record import load

SMALL = ["--width", "16", "--train-size", "300", "--test-size", "100"]


def run(*arguments, **options):
    """``python -m limitcycle`` in a process of its own."""
    command = [sys.executable, "-m", "limitcycle", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


def test_train_diagnose_report(tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["train", *SMALL, "--lr", "1", "--steps", "40", "--out", str(out)]) == 0
    assert len(load(out).steps) == 40
    assert main(["diagnose", str(out)]) == 0
    assert "run: " in capsys.readouterr().out
    assert main(["diagnose", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run"]["label"] in (
        "converging",
        "equilibrium",
        "stuck",
    )
    assert main(["report", str(out)]) == 0
    assert "plotly" in (out / "report.html").read_text().lower()
    assert main(["report", str(out), "--out", str(tmp_path / "a.png")]) == 0
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.slow
def test_several_values_make_a_grid(tmp_path):
    grid = ["--lr", "0.1", "1", "--seed", "0", "1", "--steps", "5"]
    assert main(["train", *SMALL, *grid, "--out", str(tmp_path / "grid")]) == 0
    names = sorted(path.name for path in (tmp_path / "grid").iterdir())
    assert names == ["lr=0.1_seed=0", "lr=0.1_seed=1", "lr=1_seed=0", "lr=1_seed=1"]
    assert load(tmp_path / "grid" / "lr=1_seed=1").run.lr == 1.0


@pytest.mark.slow
def test_the_runs_of_a_grid_are_trained_as_one_when_asked(tmp_path):
    grid = ["--lr", "0.1", "0.3", "1", "--steps", "5", "--precision", "bf16"]
    command = ["train", *SMALL, *grid, "--together", "2", "--out", str(tmp_path / "grid")]
    assert main(command) == 0
    runs = [load(tmp_path / "grid" / f"lr={lr}") for lr in ("0.1", "0.3", "1")]
    assert [run.status["state"] for run in runs] == ["done"] * 3
    assert [run.info.get("together", "alone")[:11] for run in runs] == [
        "slot 1 of 2",
        "slot 2 of 2",
        "alone",
    ]
    assert {run.info["precision"] for run in runs} == {"bf16"}
    assert main(command) == 0


def test_a_table_of_ones_own_is_diagnosed(tmp_path, capsys):
    step = np.arange(500)
    frame = pd.DataFrame({"step": step, "loss": 2.0 * 0.99**step + 0.01, "norm": 5 * 0.999**step})
    frame.to_csv(tmp_path / "log.csv", index=False)
    assert main(["diagnose", str(tmp_path / "log.csv"), "--lr", "1", "--weight-decay", "1e-3"]) == 0
    assert "log.csv: converging" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["train", "--lr", "fast", "--out", "x"],
            "--lr: must be a number, not 'fast' (see limitcycle train --help)",
        ),
        (["train", "--net", "vgg", "--out", "x"], "net must be one of"),
        (["train", "--steps", "1", "--epochs", "1", "--out", "x"], "not both"),
        (["train", "--stop-after", "soon", "--out", "x"], "such as 90s"),
        (["train", "--batch-size", "most", "--out", "x"], "a whole number or full"),
        (["train", "--together", "0", "--out", "x"], "at least 1"),
        (["train", "--precision", "tf32", "--out", "x"], "tf32 needs a CUDA device"),
        (["train"], "--out"),
        (["fly"], "unknown verb 'fly': choose of demo, train"),
        (["diagnose", "nowhere"], "nowhere does not exist"),
        (["report", "nowhere"], "nowhere"),
    ],
)
def test_mistakes_are_one_line_and_exit_2(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:  # argparse's refusals end the process themselves
        raise SystemExit(main(arguments))
    assert ended.value.code == 2
    complaint = capsys.readouterr().err
    assert said in complaint
    assert len(complaint.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_mistake_is_one_line_and_exit_2_of_the_process_too(tmp_path):
    done = run("train", "--net", "vgg", "--out", "x", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_missing_column_is_named(tmp_path):
    pd.DataFrame({"step": [1], "loss": [1.0]}).to_csv(tmp_path / "log.csv")
    done = run("diagnose", "log.csv", cwd=tmp_path)
    assert done.returncode == 2
    assert "norm" in done.stderr
    assert "Traceback" not in done.stderr


def test_another_description_in_a_used_folder_is_refused(tmp_path):
    out = tmp_path / "run"
    assert main(["train", *SMALL, "--steps", "5", "--out", str(out)]) == 0
    done = run("train", *SMALL, "--steps", "6", "--out", out)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "steps 5 there, 6 here" in done.stderr
    assert len(load(out).steps) == 5


def test_a_failed_run_exits_with_1(tmp_path, capsys):
    absurd = ["--lr", "1e30", "--weight-decay", "0", "--norm", "none", "--steps", "50"]
    assert main(["train", *SMALL, *absurd, "--out", str(tmp_path / "run")]) == 1
    assert "kept in" in capsys.readouterr().err


@pytest.mark.slow
def test_ctrl_c_stops_with_a_checkpoint_and_the_same_command_goes_on(tmp_path):
    out = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "limitcycle",
        "train",
        *SMALL,
        "--steps",
        "3000",
        "--out",
        str(out),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ})
    deadline = time.monotonic() + 60
    while not (out / "status.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    stopped = load(out)
    assert stopped.status["state"] == "stopped"
    assert stopped.checkpoint().completed == len(stopped.steps) > 0
    assert run(*command[3:]).returncode == 0
    assert len(load(out).steps) == 3000


def test_ctrl_c_at_the_very_end_is_heard(tmp_path, monkeypatch, capsys):
    def interrupted_in_its_last_block(jobs, **_settings):
        os.kill(os.getpid(), signal.SIGINT)
        return [Outcome("done"), Outcome("failed", "the disk is full", 1)]

    monkeypatch.setattr("limitcycle.cli.train.sweep", interrupted_in_its_last_block)
    grid = ["train", *SMALL, "--lr", "0.1", "1", "--out", str(tmp_path / "grid")]
    assert main(grid) == 130
    assert "the disk is full" in capsys.readouterr().err


@pytest.mark.slow
def test_stop_after_is_for_the_whole_command(tmp_path):
    out = tmp_path / "grid"
    grid = ["train", *SMALL, "--lr", "0.1", "1", "3", "--steps", "1000000", "--workers", "1"]
    began = time.monotonic()
    assert main([*grid, "--stop-after", "4s", "--out", str(out)]) == 0
    assert time.monotonic() - began < 3 * 4 + 60  # three runs of 4 s each, and a start
    assert not (out / "lr=3").exists()


@pytest.fixture
def short_folder():
    """For the temporary files of a command, with a short path."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.mark.slow
def test_workers_stop_when_their_parent_is_killed_and_leave_nothing(tmp_path, short_folder):
    out = tmp_path / "grid"
    grid = ["train", *SMALL, "--lr", "0.1", "1", "3", "--steps", "1000000", "--workers", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "limitcycle", *grid, "--out", str(out)],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(short_folder)},
    )
    folders = [out / "lr=0.1", out / "lr=1"]

    wait_until(lambda: all((folder / "status.json").exists() for folder in folders))
    family = session_of(process.pid)
    assert len(family) > 2  # workers and their server
    process.kill()
    process.wait()
    wait_until(lambda: all(load(folder).status["state"] == "stopped" for folder in folders))
    wait_until(lambda: not session_of(process.pid))
    assert not (out / "lr=3").exists()  # the queued job is not begun any more
    assert not list(short_folder.iterdir())


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert condition()


def session_of(leader):
    """Processes of the session that ``leader`` led."""
    found = subprocess.run(
        ["ps", "-o", "pid=,stat=", "-s", str(leader)], capture_output=True, text=True
    )
    return [line for line in found.stdout.splitlines() if "Z" not in line]


@pytest.mark.parametrize(
    "after", [1.0, *(pytest.param(each, marks=pytest.mark.slow) for each in (0.5, 1.5, 2.5))]
)
def test_ctrl_c_while_the_workers_start_is_no_accident(after, tmp_path, short_folder):
    out = tmp_path / "grid"
    grid = ["train", *SMALL, "--lr", "0.1", "1", "--steps", "1000000", "--out", str(out)]
    command = [sys.executable, "-m", "limitcycle", *grid]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(short_folder)},
    )
    time.sleep(after)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    try:
        said = process.communicate(timeout=90)[1]
        wait_until(lambda: not session_of(process.pid))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert "Traceback" not in said, said[-2000:]
    assert process.returncode in (130, -signal.SIGINT), said
    assert not list(short_folder.iterdir())


@pytest.mark.parametrize(
    "arguments", [[], ["--help"], *([verb, "--help"] for verb in VERBS), ["diagnose", "--jsno"]]
)
def test_help_imports_nothing_heavy(arguments):
    program = (
        "import sys; from limitcycle.cli.main import main\n"
        f"try: main({arguments!r})\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'pandas', 'numpy', 'plotly', 'matplotlib', 'rich'} & set(sys.modules)\n"
        "heavy |= {'argcomplete', 'asyncio', 'multiprocessing'} & set(sys.modules)\n"
        "print(sorted(heavy), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == "[]"
    assert "usage: limitcycle" in done.stdout or "did you mean --json?" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "workers"),
    [
        (["train", "--out", "x", "--lr", "0.1"], False),
        (["train", "--out", "x", "--lr", "0.1", "1"], True),
        (["train", "--out", "x", "--seed", "0", "1", "--on", "ray"], False),
        (["demo"], True),
        (["map"], True),
        (["paper"], False),
        (["paper", "2", "5"], True),
        (["paper", "--all"], True),
        (["report", "a", "b"], False),
    ],
)
def test_workers_begin_to_import_torch_before_the_command_does(arguments, workers):
    program = (
        "import sys; from limitcycle import forkserver; from limitcycle.cli.main import main\n"
        "def start(*_): print('started', 'torch' in sys.modules); sys.exit()\n"
        "forkserver.start = start\n"
        "from limitcycle.cli import main as cli\n"
        "nothing = {'module': 'settings', 'function': 'number'}\n"
        "cli.VERBS = {name: verb._replace(**nothing) for name, verb in cli.VERBS.items()}\n"
        f"main({arguments!r})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == ("started False" if workers else "")


def test_what_workers_are_to_import_exists():
    """The server passes over a module that it does not find, and workers would import it all."""
    for name in (forkserver._TRAINING, "limitcycle.paper.parallel"):
        assert find_spec(name) is not None


def test_a_problem_that_many_runs_share_is_said_once(capsys):
    outcomes = [Outcome("failed", text, 1) for text in ("no memory", "no disk", "no memory")]
    assert report_outcomes(outcomes, Console(stderr=True)) == 1
    assert capsys.readouterr().err.splitlines() == ["no memory (2 runs)", "no disk"]


def test_the_package_imports_lazily():
    program = "import sys, limitcycle; print({'torch', 'pandas', 'plotly'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "set()"


def test_every_public_name_exists():
    import limitcycle

    for name in limitcycle.__all__:
        assert getattr(limitcycle, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = limitcycle.nothing
