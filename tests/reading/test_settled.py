"""When a norm has settled: it drifts little, or wanders about one place; a random walk does not."""

import numpy as np
import pytest

from limitcycle.reading import diagnose
from limitcycle.reading.constants import MAX_DRIFT
from tests.reading.series import quiet


def calm(norm):
    frame = quiet(rows=len(norm))
    return diagnose(frame.assign(norm=norm))


def test_a_random_walk_has_not_settled():
    for seed in range(30):
        walk = np.cumsum(0.02 * np.random.default_rng(seed).standard_normal(5_000))
        verdict = calm(8 * np.exp(walk))
        assert not verdict.rest.wanders
        assert verdict.rest.settled == (abs(verdict.rest.drift) < MAX_DRIFT)


@pytest.mark.parametrize("period", [700, 900, 1_000, 1_300])
def test_slow_saw_teeth_have_settled_only_by_their_drift(period):
    rows = np.arange(3_000)
    verdict = calm(5 + rows % period // (period // 10))
    assert verdict.rest.settled == (abs(verdict.rest.drift) < MAX_DRIFT)


@pytest.mark.parametrize("seed", range(10))
def test_a_norm_that_wanders_about_one_place_has_settled(seed):
    assert diagnose(quiet(wander=0.25, loss_noise=0.6, seed=seed)).label == "equilibrium"


def test_the_reason_does_not_contradict_itself():
    verdict = diagnose(quiet(wander=0.3, seed=1))
    assert verdict.label == "equilibrium"
    assert abs(verdict.rest.drift) > MAX_DRIFT
    assert "wanders about one place" in verdict.reason
    assert "small against that" in verdict.reason
    assert " fell by" not in verdict.reason and " rose by" not in verdict.reason


def test_a_table_that_begins_after_the_descent_is_doubted():
    verdict = diagnose(quiet(loss=(1e-3, 1e-3)))
    assert verdict.label == "stuck"
    assert "stuck_above" in verdict.notes[0]
    assert "stuck_above" not in str(diagnose(quiet(loss=(1e-3, 1e-3)), stuck_above=1e-4))
    assert diagnose(quiet(loss=(5.0, 0.01))).notes == ()
