"""What stays in memory of a long run: events are whole; in a folder nothing is lost."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import limitcycle as lc
from limitcycle.watching import memory as memory_module
from limitcycle.watching.memory import Memory
from limitcycle.watching.rises import BEFORE
from limitcycle.watching.thinning import staying
from tests.watching import loops

GROUPS = ("one", "two", "other")


def made_run(count, jumps, seed=0, decays=(0.1, 0.1)):
    """A run whose norm falls and is thrown up at each jump, after a turn; its group table."""
    draw = np.random.default_rng(seed)
    step = np.arange(count)
    loss = 0.1 * np.exp(0.1 * draw.standard_normal(count))
    norm = np.empty(count)
    ends = [*jumps, count]
    norm[: ends[0]] = 10 * 0.9995 ** np.arange(ends[0])
    for at, end in itertools.pairwise(ends):
        norm[at:end] = 12 * 0.9995 ** np.arange(end - at)
        norm[at : at + 8] = np.linspace(norm[at - 1], 12, 8)
        loss[at : at + 8] *= [30, 60, 50, 30, 20, 10, 5, 2]
    several = len(set(decays)) > 1
    steps = pd.DataFrame(
        {
            "step": step,
            "loss": loss,
            "norm": norm,
            "grad_norm": 1 / norm,
            "effective_grad_norm": 1.0,
            "lr": 0.1,
            "weight_decay": np.nan if several else decays[0],
            "effective_lr": 0.1 / norm**2,
        }
    )
    groups = steps.loc[step.repeat(3)].drop(columns=["loss"]).reset_index(drop=True)
    groups.insert(1, "group", np.tile(GROUPS, count))
    groups["norm"] /= np.sqrt(2)
    groups["weight_decay"] = np.tile([*decays, 0.0], count)
    groups["effective_lr"] = groups["lr"] / groups["norm"] ** 2
    return steps, groups


def told(memory, steps, groups, block=100, *, archived=False):
    for start in range(0, len(steps), block):
        rows = slice(3 * start, 3 * (start + block))
        memory.add(steps[start : start + block], groups[rows], archived=archived)
    return memory


JUMPS = range(500, 20_000, 1_000)


def test_no_event_is_lost_nor_what_came_before_it():
    steps, groups = made_run(20_000, JUMPS)
    memory = told(Memory(step_rows=4_000, group_rows=3_000), steps, groups)
    assert len(memory.steps) <= 4_000 and len(memory.groups) <= 3_000
    whole, kept = (lc.diagnose(each) for each in (steps, memory.steps))
    assert len(kept.events) == len(JUMPS)
    pd.testing.assert_frame_equal(kept.events[["peak", "top"]], whole.events[["peak", "top"]])
    # Where a level is left depends a little on how many rows tell the level.
    assert (abs(kept.events["start"] - whole.events["start"]) <= 2).all()
    assert (abs(kept.events["turn"] - whole.events["turn"]) <= 2).all()
    assert kept.label == whole.label == "periodic"
    for at in JUMPS:
        assert np.isin(np.arange(at - BEFORE, at + 8), memory.steps["step"]).all()


def test_extremes_stay_where_they_were_however_often_rows_are_thinned():
    steps, groups = made_run(30_000, [])
    memory = told(Memory(step_rows=1_000, group_rows=1_000), steps, groups)
    kept = memory.steps.set_index("step")
    length = 2_048  # of a stretch at the end: 30,000 steps in 25 of them, a power of two
    for first in range(0, 28_000, length):
        part = steps[first : first + length]
        for name in ("loss", "norm"):
            assert part[name].idxmax() in kept.index and part[name].idxmin() in kept.index
    assert list(memory.steps["step"]) == sorted(set(memory.steps["step"]))
    newest = memory.thinned_before
    assert np.array_equal(kept.loc[newest:].index, np.arange(newest, 30_000))


def test_a_short_run_is_kept_whole():
    steps, groups = made_run(900, [500])
    memory = told(Memory(step_rows=1_000, group_rows=3_000), steps, groups, block=7)
    assert memory.thinned_before is None
    pd.testing.assert_frame_equal(memory.steps, steps)
    pd.testing.assert_frame_equal(memory.groups, groups)


@given(st.integers(1, 3_000), st.integers(40, 400), st.integers(1, 50), st.integers(0, 9))
@settings(deadline=None, max_examples=40)
def test_three_quarters_stay_at_most(count, limit, every, seed):
    draw = np.random.default_rng(seed)
    keys = pd.DataFrame({"step": every * np.arange(count)})
    keys["loss"] = np.where(draw.random(count) < 0.1, np.nan, draw.random(count))
    keys["norm"] = draw.random(count)
    protected = np.flatnonzero(draw.random(count) < 0.5) * every
    stays = staying(keys, protected, limit)
    assert stays.sum() <= 0.75 * limit + 5  # a stretch at least
    assert stays[count - limit // 8 :].all()


def test_the_norm_that_is_judged_is_kept_of_every_row_that_is():
    """Where weight decay acts on some groups only, though most of the group rows are gone."""
    steps, groups = made_run(6_000, [2_000, 4_000], decays=(0.1, 0.0))
    limits = {"step_rows": 2_000, "group_rows": 500}
    for archived in (False, True):
        memory = told(Memory(**limits), steps, groups, archived=archived)
        every_step = steps if archived else memory.steps
        found, note = memory.for_reading(every_step)
        assert note == "judged by the 1 of 2 scale-invariant groups that weight decay shrinks"
        assert np.array_equal(found["step"], every_step["step"])
        assert found["weight_decay"].to_numpy() == pytest.approx(0.1)
        assert found["norm"].to_numpy() == pytest.approx(every_step["norm"] / np.sqrt(2))


def test_settings_that_change_do_not_stay_judged():
    steps, groups = made_run(600, [], decays=(0.1, 0.0))
    later, later_groups = made_run(600, [], decays=(0.1, 0.1))
    memory = told(Memory(), steps, groups)
    memory.add(later.assign(step=later["step"] + 600), later_groups, archived=False)
    assert memory.for_reading(memory.steps)[1] == ""


@pytest.fixture
def _little_room(monkeypatch):
    few = Memory.__init__.__defaults__
    monkeypatch.setattr(memory_module.Memory.__init__, "__defaults__", (60, 60))
    assert few != (60, 60)


def watched(sink, steps, **settings):
    model = loops.net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.01)
    with lc.watch(model, optimizer, sink=sink, quiet=True, **settings) as w:
        for step in range(steps):
            w.log(loss=loops.plain_step(model, optimizer, step))
            if step % 10 == 0:
                w.steps  # noqa: B018 - reads: blocks of few rows
    return w


@pytest.mark.usefixtures("_little_room")
def test_with_a_folder_every_row_is_read_back(tmp_path):
    w = watched(tmp_path / "run", 200)
    run = lc.load(tmp_path / "run")
    assert len(w._memory.steps) <= 60
    assert list(w.steps["step"]) == list(range(200))
    pd.testing.assert_frame_equal(w.steps, run.steps)
    pd.testing.assert_frame_equal(w.groups, run.groups)
    assert w.diagnosis().rows == 200
    assert str(w.diagnosis()) == str(lc.diagnose(tmp_path / "run"))


@pytest.mark.usefixtures("_little_room")
def test_a_resumed_job_does_not_hold_the_rows_of_its_folder(tmp_path):
    watched(tmp_path / "run", 150)
    w = watched(tmp_path / "run", 50)
    assert len(w._memory.steps) <= 60
    assert list(w.steps["step"]) == list(range(200))
    assert len(w.groups) == 600


@pytest.mark.usefixtures("_little_room")
def test_without_a_folder_thinning_is_said():
    w = watched(None, 200)
    assert len(w.steps) <= 60 and len(w.groups) <= 60
    assert any("are kept in memory: watch into a folder" in note for note in w.diagnosis().notes)


@pytest.mark.parametrize("name", loops.LOOPS)
def test_the_newest_row_is_the_tables_last(name):
    loop, model = loops.LOOPS[name](), loops.net()
    optimizer = loop.optimizer(model)
    with lc.watch(model, optimizer, quiet=True) as w:
        for step in range(4):
            w.log(loss=loop.step(model, optimizer, step), other=step)
            row = w.latest()
            last = w.steps.iloc[-1]
            assert set(row) == set(last.index)
            for key, value in row.items():
                assert value == pytest.approx(last[key], rel=1e-9, nan_ok=True), key
            assert w.latest() == pytest.approx(row, rel=1e-9, nan_ok=True)
