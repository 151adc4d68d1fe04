"""One advice for every kind of run, with the numbers it follows from."""

import numpy as np
import pandas as pd
import pytest

from limitcycle.reading import RunData, diagnose
from tests.reading.series import FAST


def settled(loss=1e-3, norm=1.0, rows=2_000, **columns):
    """A run at rest, after a first descent from loss 2."""
    step = np.arange(rows)
    losses = np.where(step < rows // 50, 2.0, loss)
    norms = norm * (1 + 1e-3 * np.sin(step))
    return pd.DataFrame({"step": step, "loss": losses, "norm": norms, **columns})


AS_BEFORE = np.random.default_rng(0).normal(2.0, 0.1, 2_000)


def advice_on(frame, **known):
    return diagnose(RunData(frame, **known)).advice


def test_a_run_that_nears_its_last_jump_gets_the_way_to_it():
    frame, _ = FAST.run()
    frame = frame.assign(lr=0.1, weight_decay=0.01)
    frame["effective_lr"] = frame["lr"] / frame["norm"] ** 2
    verdict = diagnose(frame)
    found = verdict.advice
    assert found.kind == "approaching"
    assert verdict.forecast.median >= 0
    lowest = frame.set_index("step")["effective_lr"].loc[found.since]
    assert found.growth == pytest.approx(frame["effective_lr"].iloc[-1] / lowest)
    said = found.text
    assert f"{found.growth:.2g}-fold since step {found.since:,}" in said
    assert "Halve weight decay, or hold the norm" in said


def test_without_weight_decay_the_norm_cannot_fall():
    found = advice_on(settled(lr=0.1, weight_decay=0.0))
    assert found.kind == "no-decay"
    assert "weight decay is 0, so the norm cannot fall here" in found.text


def test_decay_that_rounds_away_is_said_before_all_else():
    frame = settled(lr=0.1, weight_decay=1e-3)
    found = advice_on(frame, dtypes={"bfloat16": 10, "float32": 9})
    assert found.kind == "rounds-away"
    assert (found.lost.dtype, found.lost.share) == ("bfloat16", 1.0)
    assert "rounds away in bfloat16" in found.text
    assert advice_on(frame, dtypes={"bfloat16": 9, "float32": 10}).kind == "equilibrium"
    assert advice_on(frame, dtypes={"float8": 10}).kind == "equilibrium"  # nothing is known of it


@pytest.mark.parametrize(
    ("frame", "kind", "word"),
    [
        (
            settled(loss=AS_BEFORE, lr=1.0, weight_decay=1e-3),
            "stuck",
            "too high",
        ),
        (settled(lr=0.1, weight_decay=1e-3), "equilibrium", "through their product"),
        (settled(rows=20), "too-early", "too early"),
        (settled(norm=np.linspace(3, 1, 2_000), lr=1.0, weight_decay=1e-3), "falling", "e-fold in"),
        (settled(norm=np.linspace(1, 3, 2_000)), "rising", "falls by itself"),
        (settled(loss=np.inf), "diverged", "checkpoint"),
        (settled(lr=0.1, weight_decay=1e-3).assign(norm=8.0), "held", "weight decay does nothing"),
        (
            settled(loss=AS_BEFORE, lr=1.0, weight_decay=1e-3).assign(norm=8.0),
            "held-high",
            "lower the learning rate",
        ),
        (
            settled(
                norm=np.linspace(3, 2, 2_000), lr=np.linspace(1, 1e-3, 2_000), weight_decay=1e-3
            ),
            "scheduled",
            "fell 320-fold since step 1,000",
        ),
        (
            settled(norm=np.linspace(3, 2, 2_000), lr=1e-3, weight_decay=1e-3),
            "slow",
            "so slowly that it does not matter",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_kind_of_run_gets_its_own(frame, kind, word):
    found = advice_on(frame)
    assert found.kind == kind
    assert word in found.text


def test_the_fastest_growth_is_that_of_free_decay():
    frame = settled(norm=np.linspace(3, 1, 2_000), lr=1.0, weight_decay=1e-3)
    assert "e-fold in 500 steps" in advice_on(frame).text
