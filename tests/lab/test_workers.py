"""Worker processes: what they tell, how they are stopped, how many threads each gets."""

import time

import pytest

from limitcycle.lab import Job, machine, sweep, thread_budget
from limitcycle.lab.parallel import _TOLD_SECONDS, _seldom
from limitcycle.lab.training import Progress
from limitcycle.record import Run, load

SMALL = {"width": 8, "train_size": 256, "test_size": 64}


def jobs_in(folder, *steps):
    return [
        Job(Run(steps=n, seed=seed, **SMALL), folder / str(seed)) for seed, n in enumerate(steps)
    ]


@pytest.mark.slow
def test_an_outcome_is_told_while_the_others_go_on(tmp_path):
    jobs, told = jobs_in(tmp_path, 5, 1_000_000), []
    outcomes = sweep(
        jobs,
        workers=2,
        ended=lambda index, outcome: told.append((index, outcome.state)),
        should_stop=lambda: bool(told),
    )
    assert told == [(0, "done"), (1, "stopped")]
    assert [outcome.state for outcome in outcomes] == ["done", "stopped"]


@pytest.mark.slow
def test_a_call_that_is_broken_off_stops_the_workers(tmp_path):
    jobs = jobs_in(tmp_path, *[1_000_000] * 4)
    seen = set()

    def hear(index, _progress):
        seen.add(index)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(jobs, workers=2, progress=hear)
    for job in jobs[:2]:
        stopped = load(job.out)
        assert stopped.status["state"] == "stopped"
        assert stopped.checkpoint().completed == len(stopped.steps) > 0
    assert not jobs[3].out.exists()


@pytest.mark.slow
def test_progress_is_told_now_and_then_and_at_the_end(tmp_path):
    told = []
    tell = _seldom(told.append)
    for step in range(1, 101):
        tell(Progress(step, 100, 0.0, 0.0, 0.0))
    assert [progress.step for progress in told] == [1, 100]
    began, heard = time.monotonic(), []
    sweep(jobs_in(tmp_path, 600), progress=lambda _index, progress: heard.append(progress.step))
    assert heard[-1] == 600
    assert len(heard) <= 2 + (time.monotonic() - began) / _TOLD_SECONDS


def test_small_nets_get_one_thread_and_larger_ones_their_share(monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 8)
    small, large = Run(net="mlp"), Run(net="resnet18", data="cifar10")
    assert [thread_budget(small, at_once) for at_once in (1, 3, 8)] == [1, 1, 1]
    assert [thread_budget(large, at_once) for at_once in (1, 3, 8, 20)] == [8, 2, 1, 1]
