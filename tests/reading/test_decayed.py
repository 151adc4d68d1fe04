"""Where some groups are left out of weight decay, the others are judged, as if they were alone."""

import numpy as np
import pandas as pd
import pytest

from limitcycle.reading import diagnose
from limitcycle.reading.decayed import decayed
from tests.reading.series import FAST

LR, DECAY = 0.1, 0.01
STILL = 20.0  # norm of the group that is not decayed


def tables(decays=(DECAY, DECAY, 0.0, np.nan), power=2):
    """An oscillating norm shared by two groups, one that stands still, and the rest."""
    alone, _ = FAST.run()
    norm = alone["norm"].to_numpy()
    norms = np.stack([0.6 * norm, 0.8 * norm, np.full(len(norm), STILL), norm], axis=1)
    groups = pd.DataFrame(
        {
            "step": np.repeat(alone["step"], 4),
            "group": ["one", "two", "gain (+1)", "other"] * len(alone),
            "norm": norms.ravel(),
            "grad_norm": 1.0,
            "lr": LR,
            "weight_decay": list(decays) * len(alone),
            "effective_lr": LR / norms.ravel() ** power,
        }
    )
    steps = alone.assign(norm=np.hypot(norm, STILL), lr=LR, weight_decay=np.nan, extra=7.0)
    return alone, steps, groups


@pytest.mark.parametrize("power", [1, 2])
def test_the_decayed_groups_are_judged_as_if_they_were_alone(power):
    alone, steps, groups = tables(power=power)
    found, note = decayed(steps, groups)
    assert note == "judged by the 2 of 3 scale-invariant groups that weight decay shrinks"
    np.testing.assert_allclose(found["norm"], alone["norm"])
    np.testing.assert_allclose(found["effective_lr"], LR / alone["norm"] ** power)
    np.testing.assert_allclose(found["effective_grad_norm"], np.sqrt(2) * alone["norm"])
    assert (found["extra"] == 7).all()
    expected = diagnose(
        alone.assign(effective_lr=LR / alone["norm"] ** power), lr=LR, weight_decay=DECAY
    )
    assert diagnose(found).forecast.median == pytest.approx(expected.forecast.median)
    by_both = (each.events.drop(columns="evidence") for each in (diagnose(found), expected))
    pd.testing.assert_frame_equal(*by_both)
    assert np.isnan(diagnose(steps).forecast.median)


@pytest.mark.parametrize("decays", [(DECAY, 0.02, 0.0, np.nan), (0.0, 0.0, 0.0, DECAY)])
def test_without_one_weight_decay_nothing_is_left_out(decays):
    _, steps, groups = tables(decays)
    assert decayed(steps, groups) == (steps, "")


def test_groups_that_do_not_cover_the_steps_are_not_used():
    _, steps, groups = tables()
    for some in (groups.iloc[4:], groups.iloc[:0], pd.DataFrame()):
        assert decayed(steps, some) == (steps, "")


def test_a_joint_weight_decay_needs_no_groups():
    _, steps, groups = tables()
    steps = steps.assign(weight_decay=DECAY)
    assert decayed(steps, groups) == (steps, "")
