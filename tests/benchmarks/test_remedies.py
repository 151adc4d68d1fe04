"""Each kind of advice, followed: jumps with the line that is given, spikes as their cause says."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import jumps
from benchmarks.causes import cases, train
from benchmarks.remedies import remedy_of
from limitcycle.reading import diagnose

JUMPING = jumps.Setting("batchnorm", "sgd", 1.0, 4e-3, 1_700)


@pytest.fixture(scope="module")
def followed():
    return {one.way: one for one in jumps.follow(JUMPING, 700)}


@pytest.mark.slow
def test_the_cap_of_the_advice_ends_the_jumps(followed):
    before, after = followed["as it was"], followed["capped"]
    assert before.jumps >= 5 and after.jumps <= before.jumps / 5
    assert after.rises <= before.rises / 3
    assert after.worst < before.worst / 2 and after.median < before.median
    assert after.said_then == "held"  # and nothing more is asked for


@pytest.mark.slow
def test_the_cap_helps_more_than_half_the_decay(followed):
    halved, capped = followed["weight decay ÷ 2"], followed["capped"]
    assert halved.jumps < followed["as it was"].jumps
    assert capped.jumps < halved.jumps and capped.worst < halved.worst


@pytest.mark.slow
def test_a_norm_that_is_held_lower_ends_the_jumps(followed):
    before, after = followed["as it was"], followed["norm held, learning rate ÷ growth"]
    assert after.jumps == 0 and after.rises <= before.rises / 3
    assert after.worst < before.worst / 2


def test_a_fork_is_the_same_training():
    base = jumps.Training.begun(replace(JUMPING, optimizer="momentum", lr=0.1), 3)
    base.go(20)
    one, other = base.fork(), base.fork()
    one.go(40)
    other.go(40)
    assert one.table.equals(other.table) and len(one.table) == 40
    assert one.errors == other.errors and list(one.errors) == [20, 40]


def test_the_table_has_a_row_for_each_way_and_one_for_all():
    numbers = {"told_at": 100, "cap": 0.1, "best": 0.01, "median": 0.02, "worst": 0.5}
    rows = [
        jumps.Outcome("x", seed, way, jumps=seed, rises=1, said_then="held", **numbers)
        for way in ("as it was", "capped")
        for seed in (1, 2, 3)
    ]
    lines = jumps.table(rows).splitlines()
    assert lines[2] == "| x | as it was | 1, 2, 3 | 1, 1, 1 | 1.0% | 2.0% | 50.0% |"
    assert lines[-1] == "| **all 3** | capped | 2.0 | 1.0 | 1.0% | 2.0% | 50.0% |"


def spikes(how, net):
    """A case of the table, as it was and as its advice says: the highest loss behind the spike."""
    seed = 700
    named = [each for each in cases(seed) if each.how == how and each.net == net]
    case = named[0]  # the strong one comes first
    before = train(case, seed)
    found = diagnose(before.steps)
    rises = found.spikes[found.spikes["cause"] == case.cause]
    step = int(rises["start"].iloc[0])
    after = train(case, seed, remedy_of(case, step, before.groups))
    return [
        float(table.loc[table["step"] > step + 1, "loss"].head(100).max())
        for table in (before.steps, after.steps)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "net"),
    [
        ("labels shuffled", "batchnorm"),
        ("gradient × 1,000", "batchnorm"),
        ("gradient × 1,000", "affine"),
    ],
)
def test_clipping_keeps_what_is_wrong_from_doing_harm(how, net):
    before, after = spikes(how, net)
    assert np.isfinite(after) and after < before / 3
