"""Whether the loss ever came low, told from its own beginning."""

import numpy as np
import pandas as pd
import pytest

from limitcycle.reading import diagnose


def falling_at_once(seed, *, late=0.15, rows=4_000):
    """Small batches: the loss scatters by all it has, and its descent ends at once."""
    rng = np.random.default_rng(seed)
    step = np.arange(rows)
    loss = (late + 5 * np.exp(-step / 40)) * rng.lognormal(0, 0.5, rows)
    norm = 8 * np.exp(0.02 * np.sin(step / 30))
    return pd.DataFrame({"step": step, "loss": loss, "norm": norm})


@pytest.mark.parametrize("seed", range(5))
def test_a_noisy_loss_that_fell_within_the_first_rows_came_down(seed):
    """Their own scatter hides that: the descent is part of it."""
    verdict = diagnose(falling_at_once(seed))
    assert verdict.label == "equilibrium"
    assert verdict.descent.errors > 10


@pytest.mark.parametrize("seed", range(15))
def test_a_noisy_loss_that_never_fell_is_stuck(seed):
    table = falling_at_once(seed).iloc[1_000:].assign(step=np.arange(3_000))
    verdict = diagnose(table)
    assert verdict.label == "stuck"
    assert abs(verdict.descent.errors) < 5


def test_a_close_call_is_said_and_a_clear_one_is_not():
    rng = np.random.default_rng(1)
    step = np.arange(4_000)
    noise = 0.3 * rng.standard_normal(4_000)
    norm = 8 * np.exp(0.02 * np.sin(step / 30))
    said = {}
    for fall in (0.0, 0.13, 1.0):
        loss = 2.3 - fall * (step > 250) + noise
        verdict = diagnose(pd.DataFrame({"step": step, "loss": loss, "norm": norm}))
        said[fall] = any("hardly below that of the first rows" in note for note in verdict.notes)
        assert said[fall] == verdict.descent.close
    assert said == {0.0: False, 0.13: True, 1.0: False}
