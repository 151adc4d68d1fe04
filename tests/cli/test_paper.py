"""`limitcycle paper` at quick scale: every figure from an empty folder, and a figure made again."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from limitcycle.cli.main import main
from limitcycle.errors import RunError
from limitcycle.paper import NUMBERS, Plan, experiments, missing
from limitcycle.paper.scale import QUICK

# What every seed shows, whatever the machine; the other claims may come out as they do on this one,
# and their table says how.
CERTAIN = {
    "control-weight-decay",
    "fixed-norm-early-full-batch",
    "map-shape",
    "rescaling-bitwise",
    "sequence-interval",
}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "limitcycle", "paper", *arguments]


def claims(folder: Path, figure: int) -> list[dict]:
    return json.loads((folder / f"figure-{figure:02}.json").read_text())["claims"]


def number_of_runs(folder: Path) -> int:
    return len(list((folder / "runs").iterdir()))


def some_run_is_done(folder: Path) -> bool:
    statuses = (folder / "runs").glob("*/status.json")
    return any(json.loads(status.read_text())["state"] == "done" for status in statuses)


def said(capsys) -> str:
    return capsys.readouterr().err


def test_figures_and_all_of_them_exclude_each_other(capsys):
    assert main(["paper", "7", "--all"]) == 2
    assert "not both" in said(capsys)


def test_results_that_cannot_be_written_is_noticed_before_training(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("limitcycle.cli.paper.run_jobs", lambda *_, **__: pytest.fail("trained"))
    (tmp_path / "file").touch()
    results = str(tmp_path / "file" / "results")
    assert main(["paper", "3", "--out", str(tmp_path), "--results", results]) == 2
    assert "choose another --results" in said(capsys)


def test_one_run_is_made_with_as_many_threads_as_one_of_many(tmp_path, monkeypatch):
    asked = []

    def run_jobs(jobs, console, settings, workers, threads, **_):
        asked.append(threads)
        return []

    monkeypatch.setattr("limitcycle.cli.paper.run_jobs", run_jobs)
    monkeypatch.setattr("limitcycle.cli.paper.make_entries", lambda *_: [{"claims": []}])
    options = ["paper", "3", "--seeds", "1", "--scale", "laptop", "--out", str(tmp_path)]
    assert main(options) == main([*options, "--threads", "2"]) == 0
    assert asked == [1, 2]


def test_a_figure_that_could_not_be_drawn_is_said_and_the_others_stay(
    tmp_path, capsys, monkeypatch
):
    made = [RunError("figure 7: its worker was killed"), {"claims": []}]
    monkeypatch.setattr("limitcycle.cli.paper.make_entries", lambda *_: made)
    assert main(["paper", "7", "8", "--out", str(tmp_path)]) == 1
    ended = capsys.readouterr()
    assert ended.err.splitlines() == ["figure 7: its worker was killed"]
    assert "Look at it" in ended.out and (tmp_path / "claims.json").exists()


def test_the_list_knows_what_was_made_and_the_runs_that_follow(tmp_path, capsys):
    out, results = ["--out", str(tmp_path / "runs")], ["--results", str(tmp_path / "results")]
    assert main(["paper", "7", *out, *results]) == 0
    capsys.readouterr()
    assert main(["paper", *out, *results]) == 0
    rows = {row.split()[0]: row for row in capsys.readouterr().out.splitlines() if row.split()}
    assert "1 hold, 0 fail" in rows["7"]
    assert "+ " in rows["4"] and "+ " not in rows["3"]


@pytest.fixture(scope="module")
def everything(once) -> Path:
    def make(out):
        made = subprocess.run(command("--all", "--out", str(out)), capture_output=True, text=True)
        assert made.returncode == 0, made.stderr[-3000:]

    return once("paper", make)


@pytest.mark.slow
def test_every_figure_is_drawn_and_every_claim_judged(everything):
    for number in NUMBERS:
        assert (everything / f"figure-{number:02}.png").stat().st_size > 10_000
    table = json.loads((everything / "claims.json").read_text())["claims"]
    expected = [claim.name for figure in experiments() for claim in figure.asked(QUICK)]
    assert [claim["name"] for claim in table] == expected
    assert all(claim["measured"] for claim in table)
    assert not [claim for claim in table if "the check failed" in claim["measured"]]
    held = {claim["name"] for claim in table if claim["outcome"] == "holds"}
    assert held >= CERTAIN


@pytest.mark.slow
def test_a_figure_made_again_interrupted_gives_the_same_table(everything, tmp_path):
    again = [*command("4", "--out", str(tmp_path))]
    process = subprocess.Popen(again, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while process.poll() is None and not some_run_is_done(tmp_path):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    try:
        said = process.communicate(timeout=90)[1]
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130, said
    assert not (tmp_path / "figure-04.json").exists()
    assert subprocess.run(again, capture_output=True).returncode == 0
    assert claims(tmp_path, 4) == claims(everything, 4)
    before = number_of_runs(everything)
    once_more = subprocess.run(command("4", "--out", str(everything)), capture_output=True)
    assert once_more.returncode == 0
    assert number_of_runs(everything) == before  # nothing is trained twice
    assert claims(tmp_path, 4) == claims(everything, 4)


@pytest.mark.parametrize(
    ("options", "expected"),
    [((), None), (("--seeds", "2"), (0, 1)), (("--first-seed", "7"), (7, 8, 9))],
)
def test_fresh_seeds_begin_where_it_is_said(options, expected, tmp_path, monkeypatch):
    made = []

    def make_entries(plans, *_):
        made.extend(plan.seeds for plan in plans)
        return [{"claims": []}]

    monkeypatch.setattr("limitcycle.cli.paper.make_entries", make_entries)
    assert main(["paper", "7", *options, "--out", str(tmp_path)]) == 0
    assert made == [expected]


def test_a_first_seed_that_is_none_is_called_what_was_typed(tmp_path, capsys):
    options = ["paper", "2", "--first-seed", "-3", "--out", str(tmp_path / "paper")]
    assert main(options) == 2
    assert capsys.readouterr().err.startswith("limitcycle: --first-seed must be a whole number")
    assert not (tmp_path / "paper").exists()


def test_made_in_pieces_only_whole_figures_are_drawn(tmp_path, capsys):
    out = ["--out", str(tmp_path)]
    assert main(["paper", "7", "4", *out, "--stop-after", "0.01s"]) == 0
    said = capsys.readouterr()
    assert (tmp_path / "figure-07.png").exists() and not (tmp_path / "figure-04.png").exists()
    assert "1 of 2 figures have all of their runs" in said.out
    assert "the same command goes on" in said.err


def test_runs_made_in_pieces_come_figure_by_figure(tmp_path):
    plans = [Plan(figure, QUICK, tmp_path) for figure in experiments((4, 2))]
    wanted = [{run.identity for runs in plan.runs.values() for run in runs} for plan in plans]
    runs = missing(plans, by_figure=True)
    of_the_first = [run.identity in wanted[0] for run in runs]
    assert of_the_first == sorted(of_the_first, reverse=True) and not all(of_the_first)
    assert {run.identity for run in runs} == {run.identity for run in missing(plans)}
