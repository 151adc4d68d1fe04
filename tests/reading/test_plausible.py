"""Remarks on what is hard to believe; none on what is as it should be."""

import numpy as np
import pandas as pd
import pytest

from limitcycle.reading import diagnose
from tests.reading.series import CLEAN, NOISY

DECAY = {"lr": 0.1, "weight_decay": 0.01}


def falling(times=1.0, unit=1):
    step = np.arange(0, 2_000, 10)
    rng = np.random.default_rng(0)
    norm = 5 * np.exp(-times * 1e-3 * step)
    loss = np.exp(-step / 200) + 0.1 + 0.01 * rng.random(len(step))
    return pd.DataFrame({"step": step * unit, "loss": loss, "norm": norm})


def gradient(seed=0):
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(500)
    loss = np.exp(-np.linspace(0, 3, 500) + 0.3 * noise)
    norm = np.exp(0.6 * np.log(loss) + 0.1 * rng.standard_normal(500))
    return pd.DataFrame({"step": np.arange(500), "loss": loss, "norm": norm})


def doubts(table, **given):
    said = ("as the norm of a gradient", "times as fast as", "look like samples")
    notes = diagnose(table, **given).notes
    return [text for text in said if any(text in note for note in notes)]


@pytest.mark.parametrize("seed", range(5))
def test_a_gradients_norm_is_remarked(seed):
    assert doubts(gradient(seed)) == ["as the norm of a gradient"]


@pytest.mark.parametrize("recipe", [CLEAN, NOISY])
@pytest.mark.parametrize("every", [1, 3, 10])
def test_a_weights_norm_is_not(recipe, every):
    assert doubts(recipe.run()[0].iloc[::every]) == []


@pytest.mark.parametrize(
    ("times", "unit", "momentum", "said"),
    [
        (1, 1, None, []),
        (0.5, 1, None, []),
        (10, 1, None, ["times as fast as"]),
        (10, 1, 0.9, []),
        (100, 1, 0.9, ["times as fast as"]),
        (1, 128, None, ["look like samples"]),
        (0.01, 1, None, []),  # slow, but the steps are no multiples of anything
    ],
)
def test_rates_that_disagree_with_the_norm(times, unit, momentum, said):
    assert doubts(falling(times, unit), **DECAY, momentum=momentum) == said


def test_remarks_do_not_decide():
    assert diagnose(falling(10), **DECAY).label == diagnose(falling(10)).label


def test_no_forecast_from_another_runs_settings():
    table, _ = CLEAN.run()
    known = {"weight_decay": 0.01, "momentum": 0.0}
    true, wrong = diagnose(table, lr=0.1, **known), diagnose(table, lr=1e-5, **known)
    assert true.forecast.median >= 0
    assert np.isnan(wrong.forecast.median)
    assert "falls faster" in wrong.forecast.reason
    assert true.label == wrong.label == "periodic"
