"""A run whose worker is killed is tried once more; all runs end as if nothing had happened."""

import numpy as np
import pytest

from limitcycle.cli.main import main
from limitcycle.lab import Job, map_plane, parallel, plane_of, rehearse, sweep, train
from limitcycle.lab.how import How
from limitcycle.lab.pool import Event, Killed
from limitcycle.lab.together import train_together
from limitcycle.paper import Plan, experiments, make_entries, make_entry
from limitcycle.paper import parallel as drawing
from limitcycle.paper.scale import QUICK
from limitcycle.record import Run, load
from tests.lab import chores
from tests.lab.kill_driver import assert_equal

SMALL = {"width": 8, "train_size": 256, "test_size": 64, "momentum": 0.9}
SETTINGS = {"checkpoint_seconds": 0.0}
PLANE = {"lr": [0.1, 1.0], "weight_decay": [1e-3, 1e-2], "steps": 20, **SMALL}
ALONE = ", alone, when the others are done"
NEXT = ", alone, as the next one"
THEORY = (7, 8)  # figures that need no runs


@pytest.fixture
def deaths(monkeypatch, tmp_path_factory):
    """Say how often workers are killed at what: ``deaths({"run-1": 2})``."""

    def prepare(times):
        monkeypatch.setenv("DEATHS", ",".join(f"{name}:{n}" for name, n in times.items()))
        monkeypatch.setenv("MARKERS", str(tmp_path_factory.mktemp("markers")))
        monkeypatch.setattr(parallel, "_work", chores.train_and_be_killed)
        monkeypatch.setattr(drawing, "_draw", chores.draw_and_be_killed)

    return prepare


def jobs_in(folder, count=3):
    return [Job(Run(steps=20, seed=at, **SMALL), folder / f"run-{at}") for at in range(count)]


def whole_runs(jobs, together):
    """The same without a disturbance, in this process."""
    if together == 1:
        return [train(*job, threads=1) for job in jobs]
    return train_together(*zip(*jobs, strict=True), How(threads=1))


@pytest.mark.parametrize("together", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_killed_run_goes_on_from_its_checkpoint_and_ends_in_the_same_bits(
    together, tmp_path, deaths
):
    jobs = jobs_in(tmp_path / "killed", 2 + together)
    company = list(range(2, 2 + together))  # in another than the first two
    whole = whole_runs(jobs_in(tmp_path / "whole", 4)[2 : 2 + together], together)
    deaths({"run-2": 1})
    said, seen, ended = [], [], []
    outcomes = sweep(
        jobs,
        together=together,
        workers=2,
        settings=SETTINGS,
        notice=lambda index, text: said.append((index, text)),
        progress=lambda index, now: seen.append((index, now.step)),
        ended=lambda index, _: ended.append(index),
    )
    assert {outcome.state for outcome in outcomes} == {"done"}
    for run, at in zip(whole, company, strict=True):
        assert_equal(run.path, jobs[at].out)
    assert ended[-together:] == company  # after the others
    assert [index for index, _ in said] == [2]
    assert said[0][1].startswith(
        "its worker was killed at step 2, probably for want of memory; it is "
    )
    assert "tried again" in said[0][1]
    assert [step for index, step in seen if index == 2].count(2) == 1  # not from the start again
    for at, outcome in enumerate(outcomes):
        assert bool(outcome.remark) == (at in company)
    assert str(jobs[2].out) in outcomes[2].remark
    assert outcomes[2].remark.endswith("probably for want of memory; tried again: done")


@pytest.mark.slow
def test_killed_twice_a_run_has_failed_and_says_where(tmp_path, deaths):
    deaths({"run-1": 2})
    outcomes = sweep(jobs_in(tmp_path), workers=2, settings=SETTINGS)
    assert [outcome.state for outcome in outcomes] == ["done", "failed", "done"]
    assert [outcome.code for outcome in outcomes] == [0, 1, 0]
    problem = outcomes[1].problem
    assert problem.startswith(f"{tmp_path / 'run-1'}: its worker was killed twice, ")
    assert "at step 2" in problem or "as it began" in problem
    assert "\n" not in problem and "the same command goes on" in problem
    status = load(tmp_path / "run-1").status
    assert (status["state"], f"{tmp_path / 'run-1'}: {status['reason']}") == ("failed", problem)
    assert status["step"] > 0 and "final" not in status
    (again,) = sweep(jobs_in(tmp_path)[1:2], settings=SETTINGS)
    assert again.state == "done"
    assert len(load(tmp_path / "run-1").steps) == 20


@pytest.mark.slow
def test_what_waits_to_be_tried_again_is_stopped_like_the_rest(tmp_path, deaths):
    deaths({"run-0": 1})
    jobs = [Job(Run(steps=1_000_000, seed=at, **SMALL), tmp_path / f"run-{at}") for at in (0, 1)]
    said = []
    killed, other = sweep(
        jobs,
        workers=2,
        settings=SETTINGS,
        notice=lambda *what: said.append(what),
        should_stop=lambda: bool(said),
    )
    assert killed.state == other.state == "stopped"
    status = load(tmp_path / "run-0").status
    assert status["state"] == "stopped" and "its worker was killed" in status["reason"]
    assert killed.code == 0 and killed.remark.endswith("not tried again: stopped")
    assert not other.remark


@pytest.mark.slow
@pytest.mark.parametrize(("times", "state"), [(1, "done"), (2, "failed")])
def test_a_killed_cell_of_a_map_is_tried_once_more(times, state, tmp_path, deaths):
    victim = plane_of(PLANE).cells[1].run.identity
    deaths({victim: times})
    said = []
    table = map_plane(PLANE, tmp_path, workers=2, notice=said.append)
    assert table["state"].tolist() == ["done", state, "done", "done"]
    assert victim in said[-1] and "its worker was killed " in said[-1]
    assert said[-1].endswith("tried again: done") == (times == 1)
    assert ("its worker was killed" in table["reason"][1]) == (times == 2)


@pytest.mark.slow
@pytest.mark.parametrize(("times", "code"), [(1, 0), (2, 1)])
def test_a_grid_says_in_the_end_what_became_of_a_killed_worker(
    times, code, tmp_path, deaths, capsys
):
    deaths({"lr=1": times})
    grid = ["--width", "8", "--train-size", "256", "--test-size", "64", "--lr", "0.1", "1"]
    command = ["train", *grid, "--steps", "20", "--together", "1", "--out", str(tmp_path)]
    assert main(command) == code
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("lr=1: its worker was killed at step 2")
    assert f"{3 - code - 1} " in said[-2] and "done: " in said[-2]
    how_often = "" if times == 1 else "twice, both times "
    assert said[-1].startswith(f"{tmp_path / 'lr=1'}: its worker was killed {how_often}at step 2")
    assert said[-1].endswith("tried again: done") == (times == 1)


class Crowd:
    """A pool by what it says of itself."""

    def __init__(self, at_once, waiting, again_next):
        self.at_once, self.again_next, self._waiting = at_once, again_next, waiting

    def waits(self, task):
        return task in self._waiting


@pytest.mark.parametrize(
    ("killed", "before", "now", "waiting", "said"),
    [
        ([0], 1, 1, [], {0: "it is tried again"}),
        ([0], 2, 1, [], {0: "it is tried again"}),
        ([0], 2, 1, [0], {0: f"it is tried again{NEXT}"}),
        ([0], 3, 2, [], {0: "it is tried again; from now on 2 runs at a time"}),
        ([3], 4, 3, [3], {3: f"it is tried again{ALONE}; from now on 3 runs at a time"}),
        (
            [0, 1],
            4,
            2,
            [0, 1],
            {
                0: f"it is tried again{ALONE}",
                1: f"it is tried again{ALONE}; from now on 2 runs at a time",
            },
        ),
    ],
)
def test_only_what_is_true_is_said_of_what_is_done_about_a_kill(killed, before, now, waiting, said):
    events = [Event("killed", task, True) for task in killed]
    events += [Event("killed", 9, False), Event("ended", 9, Killed())]
    crowd = Crowd(now, waiting, again_next=now == 1)
    assert parallel._plans(events, crowd, before) == said


@pytest.mark.slow
def test_a_killed_drawer_does_not_take_the_book_with_it(tmp_path, deaths):
    plans = [Plan(figure, QUICK, tmp_path / "runs") for figure in experiments(THEORY)]
    alone = [make_entry(plan, tmp_path / "alone") for plan in plans]
    deaths({"7": 1})
    assert list(make_entries(plans, tmp_path / "once", 2)) == alone
    deaths({"7": 2})
    lost, made = make_entries(plans, tmp_path / "twice", 2)
    assert str(lost).startswith("figure 7: its worker was killed twice")
    assert made == alone[1]


@pytest.mark.slow
def test_a_rehearsal_that_is_killed_says_so_and_the_next_one_goes_on(tmp_path, monkeypatch):
    runs, folder = [Run(steps=10, seed=at, **SMALL) for at in (0, 1)], tmp_path / "runs"
    monkeypatch.setattr("limitcycle.lab.rehearsal._rehearse", chores.killed)
    assert ["was killed" in done.problem for done in rehearse(runs, folder)] == [True, True]
    monkeypatch.undo()
    (folder / "of a call that was killed").mkdir(parents=True)
    tried = list(rehearse(runs, folder))
    assert all(np.isfinite(done.losses).all() and not done.problem for done in tried)
    assert not folder.exists()
