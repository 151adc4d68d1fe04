"""Many runs as one: the same answers as by themselves, in any company, however they fare."""

import itertools
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from limitcycle.errors import NonFiniteError, RunError, UserError
from limitcycle.lab import Job, sweep, train
from limitcycle.lab.how import How
from limitcycle.lab.together import Together, companies, most_together, train_together
from limitcycle.record import Run, load

SMALL = {"width": 12, "train_size": 300, "test_size": 100}
BASE = Run(dtype="float64", steps=200, lr=0.3, weight_decay=1e-2, **SMALL)
CONVNET = Run(
    net="convnet",
    width=4,
    depth=1,
    resolution=4,
    head_norm=1.0,
    train_size=100,
    test_size=40,
    batch_size=40,
    dtype="float64",
)
CASES = {
    "sgd, an order each": [
        replace(BASE, lr=lr, weight_decay=decay, seed=seed)
        for lr, decay, seed in ((0.1, 1e-2, 0), (1.0, 1e-3, 1), (0.3, 0.0, 1))
    ],
    "momentum, one order": [
        replace(BASE, lr=lr, momentum=momentum) for lr, momentum in ((0.05, 0.9), (0.3, 0.5))
    ],
    "full batch, schedules, additional pass": [
        replace(
            BASE, batch_size=None, schedule=schedule, warmup_steps=warmup, train_pass=True, seed=i
        )
        for i, (schedule, warmup) in enumerate((("cosine", 20), ("step", 0), ("constant", 0)))
    ],
    "norms held, affine, trained head": [
        replace(
            BASE, fixed_norm=norm, norm="batch-affine", train_head=True, head_norm=2.0, seed=seed
        )
        for norm, seed in (("start", 0), (3.0, 1))
    ],
    "norms at the start, augmentation": [
        replace(BASE, steps=60, init_scale=scale, augment=True, seed=seed)
        for scale, seed in ((1.0, 0), (0.3, 1))
    ],
    "layer norm, no head norm": [
        replace(BASE, norm="layer", steps=60, head_norm=None, lr=lr) for lr in (0.1, 0.3)
    ],
    "ConvNet, group norm, additional pass": [
        replace(CONVNET, norm="group", test_size=100, steps=30, lr=lr, seed=seed, train_pass=True)
        for lr, seed in ((0.02, 0), (0.005, 1))
    ],
    "ResNet, layer norm": [
        replace(CONVNET, net="resnet18", norm="layer", resolution=8, steps=12, lr=lr)
        for lr in (0.02, 0.005)
    ],
    "ConvNet": [
        replace(CONVNET, steps=200, lr=lr, seed=seed, weight_decay=1e-2)
        for lr, seed in ((0.02, 0), (0.005, 1))
    ],
    "ConvNet, momentum, one order": [
        replace(CONVNET, steps=60, lr=lr, momentum=0.9, train_pass=True) for lr in (0.01, 0.003)
    ],
}


def together(runs, folder, **settings):
    """Train runs together below ``folder``."""
    stop = {"should_stop": settings.pop("should_stop")} if "should_stop" in settings else {}
    return train_together(
        runs, [folder / str(i) for i in range(len(runs))], How(**settings), **stop
    )


def assert_close(run, other):
    """The same tables and the same state, to 1e-9."""
    for table in ("steps", "epochs"):
        mine, theirs = getattr(run, table), getattr(other, table)
        assert list(mine) == list(theirs)
        assert len(mine) == len(theirs) > 0
        for name in mine:
            np.testing.assert_allclose(
                mine[name], theirs[name], rtol=1e-9, atol=1e-12, err_msg=name
            )
    first, second = run.checkpoint(), other.checkpoint()
    assert first.completed == second.completed
    assert first.arrays.keys() == second.arrays.keys()
    for name, array in first.arrays.items():
        scale = np.abs(second.arrays[name]).max(initial=0)
        np.testing.assert_allclose(array, second.arrays[name], rtol=0, atol=1e-9 * scale)


def assert_same(run, other):
    """The same tables and the same state, bit by bit."""
    assert run.steps.equals(other.steps)
    assert run.epochs.equals(other.epochs)
    first, second = run.checkpoint(), other.checkpoint()
    assert first.completed == second.completed
    for name, array in first.arrays.items():
        assert np.array_equal(array, second.arrays[name]), name


def asked(times):
    """A ``should_stop`` that says yes when it is asked so often."""
    count = itertools.count()
    return lambda: next(count) >= times


# Images under vmap are seconds of convolutions.
CASES_MARKED = [
    pytest.param(case, marks=[pytest.mark.slow] if "ConvNet" in case else []) for case in CASES
]


@pytest.mark.parametrize("case", CASES_MARKED)
def test_runs_together_are_what_they_are_alone(case, tmp_path):
    runs = CASES[case]
    for i, ended in enumerate(together(runs, tmp_path)):
        assert ended.status == {"state": "done", "step": runs[i].steps, "reason": ""}
        assert_close(ended, train(runs[i], tmp_path / f"alone-{i}"))


@pytest.mark.parametrize("seeds", [(0, 0, 0), (0, 1, 2)])
def test_a_company_that_was_stopped_ends_in_the_same_bits(seeds, tmp_path):
    runs = [replace(BASE, steps=60, lr=0.1 * (i + 1), seed=seed) for i, seed in enumerate(seeds)]
    whole = together(runs, tmp_path / "whole")
    stopped = together(runs, tmp_path / "parts", should_stop=asked(7))
    assert {run.status["state"] for run in stopped} == {"stopped"}
    assert {run.status["step"] for run in stopped} == {21}
    for run, reference in zip(together(runs, tmp_path / "parts"), whole, strict=True):
        assert_same(run, reference)


def test_those_that_are_behind_catch_up_to_the_same_bits(tmp_path):
    """As after a kill between the checkpoints of two runs."""
    runs = [replace(BASE, steps=60, seed=seed) for seed in range(3)]
    whole = together(runs, tmp_path / "whole")
    together(runs, tmp_path / "parts", should_stop=asked(3))
    shutil.copytree(tmp_path / "parts" / "1", tmp_path / "behind")
    together(runs, tmp_path / "parts", should_stop=asked(4))
    shutil.rmtree(tmp_path / "parts" / "1")
    shutil.copytree(tmp_path / "behind", tmp_path / "parts" / "1")
    assert [load(tmp_path / "parts" / str(i)).status["step"] for i in range(3)] == [21, 9, 21]
    for run, reference in zip(together(runs, tmp_path / "parts"), whole, strict=True):
        assert_same(run, reference)


@pytest.mark.parametrize("at", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_run_that_diverges_ends_and_changes_no_bit_of_the_others(at, tmp_path):
    plain = replace(BASE, norm="none", weight_decay=0.0, dtype="float32", lr=0.01)
    runs = [plain, plain, replace(plain, seed=1)]
    tame = together(runs, tmp_path / "tame")
    runs[at] = replace(plain, lr=1e30)
    wild = together(runs, tmp_path / "wild")
    problem = wild[at]
    assert isinstance(problem, NonFiniteError)
    for other in {0, 1, 2} - {at}:
        assert_same(wild[other], tame[other])
    kept = load(tmp_path / "wild" / str(at))
    assert kept.status["state"] == "failed"
    assert not np.isfinite(kept.steps["loss"].iloc[-1])
    assert str(together(runs, tmp_path / "wild")[at]) == str(problem)
    with pytest.raises(NonFiniteError, match="the loss is"):
        train(runs[at], tmp_path / "wild" / str(at))


@pytest.mark.parametrize("where", ["advance", "evaluate"])
def test_where_memory_ends_the_company_says_so_and_goes_on(where, tmp_path, monkeypatch):
    runs = [replace(BASE, steps=30, lr=lr) for lr in (0.1, 0.3)]
    compute, calls = getattr(Together, where), itertools.count()

    def hungry(*args):
        if next(calls) == 4:
            torch.empty(2**60, dtype=torch.uint8)
        return compute(*args)

    with monkeypatch.context() as patched:
        patched.setattr(Together, where, hungry)
        ended = together(runs, tmp_path / "company", checkpoint_seconds=0)
    assert len({str(problem) for problem in ended}) == 1  # so that it is said once
    for slot, problem in enumerate(ended):
        assert isinstance(problem, RunError)
        assert "out of memory at step" in str(problem)
        assert 0 < load(tmp_path / "company" / str(slot)).checkpoint().completed < 30
    left_alone = together(runs, tmp_path / "left alone")
    for one, other in zip(together(runs, tmp_path / "company"), left_alone, strict=True):
        assert_same(one, other)


@pytest.mark.slow
def test_a_run_may_leave_its_company_and_join_another(tmp_path):
    runs = [replace(BASE, seed=seed) for seed in range(2)]
    together(runs, tmp_path, should_stop=asked(5))
    said = []
    alone = train(runs[0], tmp_path / "0", notice=said.append)
    assert "no longer bit-identical" in said[0]
    assert_close(alone, train(runs[0], tmp_path / "reference"))
    third = replace(BASE, seed=5)
    train(third, tmp_path / "2", should_stop=asked(2))
    outs = [tmp_path / "0", tmp_path / "1", tmp_path / "2"]
    done, *joined = train_together([*runs, third], outs, How())
    assert_same(done, alone)
    for run, ended in zip((runs[1], third), joined, strict=True):
        assert_close(ended, train(run, tmp_path / f"alone-{run.seed}"))


def test_a_folder_that_cannot_be_had_costs_the_others_nothing(tmp_path):
    runs = [replace(BASE, steps=6, lr=lr) for lr in (0.1, 0.2, 0.3)]
    train(replace(BASE, steps=6, lr=0.7), tmp_path / "1")
    first, second, third = together(runs, tmp_path)
    assert isinstance(second, UserError)
    assert "lr 0.7 there, 0.2 here" in str(second)
    assert first.status["state"] == third.status["state"] == "done"


def test_snapshots_are_kept_of_each_run(tmp_path):
    runs = [replace(BASE, steps=6, snapshot_every=2, seed=seed) for seed in range(2)]
    for run, ended in zip(runs, together(runs, tmp_path), strict=True):
        alone = train(run, tmp_path / f"alone-{run.seed}")
        assert [path.name for path in ended.snapshots] == [path.name for path in alone.snapshots]


def test_a_full_batch_is_stacked_for_no_seed(tmp_path):
    """So many copies of the data set would be made at every step."""
    runs = [replace(BASE, steps=3, batch_size=None, seed=seed) for seed in range(2)]
    (first, _), (augmented, _) = (
        together([replace(run, augment=augment) for run in runs], tmp_path / str(augment))
        for augment in (False, True)
    )
    assert first.info["together"] == "slot 1 of 2, one order of the data"
    assert augmented.info["together"] == "slot 1 of 2, an order each of the data"


def test_many_runs_are_asked_whether_to_stop_as_early_as_one(tmp_path):
    """Before anything is known of their pace."""
    runs = [replace(BASE, batch_size=2, seed=seed) for seed in range(4)]
    stopped = together(runs, tmp_path, should_stop=asked(1))
    assert {run.status["step"] for run in stopped} == {128 // 4}


def test_companies_are_alike_and_no_larger_than_asked_for():
    wide = replace(BASE, width=16)
    heavy = replace(BASE, momentum=0.5)
    held = replace(BASE, fixed_norm=1.0)
    runs = [BASE, wide, replace(BASE, lr=0.1), heavy, replace(wide, seed=3), BASE, held]
    assert companies(runs, 2) == [[0, 2], [1, 4], [3], [5], [6]]
    assert companies(runs, 1) == [[i] for i in range(7)]
    assert companies(
        [heavy, replace(heavy, momentum=0.9), held, replace(held, fixed_norm="start")], 9
    ) == [
        [0, 1],
        [2, 3],
    ]


def test_by_default_runs_go_together_where_it_was_measured_to_pay_off(monkeypatch):
    monkeypatch.delenv("LIMITCYCLE_COMPILE")

    def grid(count, **settings):
        return [replace(BASE, lr=0.1 + i / 1e3, **settings) for i in range(count)]

    assert most_together(grid(16), "cpu", 2) == 1
    assert most_together(grid(64), "cpu", 2) == 32
    assert most_together(grid(64), "cpu", 4) == 1
    assert most_together(grid(144), "cpu", 2) == 1  # enough updates to be compiled
    assert most_together(grid(144), "cpu", 2, compile=False) == 36
    assert most_together(grid(144, net="convnet"), "cpu", 2) == 1
    assert most_together([*grid(72), *grid(72, momentum=0.9)], "cpu", 2) == 1
    assert most_together(grid(10), "cuda", 2) == 10
    assert most_together(grid(144), "cuda:0", 2) == 48
    assert most_together(grid(10, net="resnet18"), "cuda", 2) == 1


def test_what_is_not_alike_is_refused(tmp_path):
    with pytest.raises(UserError, match="together"):
        together([BASE, replace(BASE, width=16)], tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_sweep_of_companies_keeps_the_order_of_its_jobs(tmp_path):
    small = replace(BASE, steps=9)
    wild = replace(small, norm="none", lr=1e30, weight_decay=0.0, dtype="float32")
    runs = [small, replace(wild, lr=0.01), replace(small, lr=0.1), wild]
    jobs = [Job(run, tmp_path / str(i)) for i, run in enumerate(runs)]
    seen = {}
    outcomes = sweep(jobs, together=2, progress=lambda i, now: seen.update({i: now.step}))
    assert [outcome.state for outcome in outcomes] == ["done", "done", "done", "failed"]
    assert outcomes[3].code == 1
    assert str(tmp_path / "3") in outcomes[3].problem
    assert {i: seen[i] for i in range(3)} == {0: 9, 1: 9, 2: 9}
    assert load(jobs[2].out).info["together"] == "slot 2 of 2, one order of the data"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("case", CASES)
def test_together_on_cuda_is_alone_on_the_cpu(case, tmp_path):
    runs = CASES[case]
    for i, ended in enumerate(together(runs, tmp_path, device="cuda")):
        alone = train(runs[i], tmp_path / f"alone-{i}")
        np.testing.assert_allclose(ended.steps["loss"], alone.steps["loss"], rtol=1e-6)
