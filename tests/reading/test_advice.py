"""One advice for every kind of run, with the numbers it follows from."""

import numpy as np
import pandas as pd
import pytest

from limitcycle.reading import RunData, diagnose
from limitcycle.reading.advice import CAPPED
from limitcycle.reading.constants import CAP_JUMPS, CAP_SHARE
from limitcycle.reading.forecast import HELD
from limitcycle.reading.optimizers import update_rule
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


def watched(frame, optimizer="SGD", **known):
    """The frame as a watch of that optimizer would have recorded it."""
    rule = update_rule([optimizer], [{"lr": 0.1}])
    return RunData(frame, rule=rule, described=True, **known)


def jumping():
    frame, _ = FAST.run()
    frame = frame.assign(lr=0.1, weight_decay=0.01, momentum=0.0)
    return frame.assign(effective_lr=frame["lr"] / frame["norm"] ** 2)


def test_a_run_that_has_jumped_is_told_where_to_cap_it():
    frame = jumping()
    verdict = diagnose(watched(frame))
    starts = verdict.events["start"].tail(CAP_JUMPS)
    lowest = frame.set_index("step")["effective_lr"].loc[starts].min()
    found = verdict.advice
    assert found.kind in CAPPED
    assert found.cap == pytest.approx(CAP_SHARE * lowest)
    assert f"cap the effective learning rate at {found.cap:.3g}" in found.text
    assert found.code == (
        f'limitcycle.hold_effective_lr(optimizer, symmetries, {found.cap:.3g}, per="all", cap=True)'
    )


@pytest.mark.parametrize("optimizer", ["AdamW", "SGDW", "Muon", "AdamW8bit", "Adadelta"])
def test_where_a_cap_cannot_be_had_or_did_not_help_none_is_advised(optimizer):
    found = diagnose(watched(jumping(), optimizer)).advice
    assert np.isnan(found.cap)
    assert "cap=True" not in found.code


def test_under_adamw_half_the_decay_did_not_help_and_is_not_named():
    found = diagnose(watched(jumping(), "AdamW")).advice
    assert found.kind in CAPPED and not found.halve
    assert "hold the norm" in found.text
    assert "alve weight decay" not in found.text and "lower learning" not in found.text


def test_with_momentum_none_was_tried_and_none_is_advised():
    assert np.isnan(diagnose(watched(jumping().assign(momentum=0.9))).advice.cap)


def test_before_the_first_jump_no_cap_is_known():
    frame = jumping().head(500)
    found = diagnose(watched(frame))
    assert found.events.empty
    assert np.isnan(found.advice.cap)


def test_a_bare_table_is_given_no_cap():
    """Its norm may be that of other weights."""
    assert np.isnan(diagnose(jumping()).advice.cap)


def test_a_norm_that_is_held_now_needs_nothing_more():
    """The jumps of before are no reason to say that they go on."""
    frame = jumping()
    rows = np.arange(400)
    since = frame.tail(1).iloc[0]
    still = pd.DataFrame({name: np.full(400, value) for name, value in since.items()})
    still["step"] = since["step"] + 1 + rows
    still["loss"] = frame["loss"].tail(1_000).median()
    verdict = diagnose(watched(pd.concat([frame, still], ignore_index=True)))
    assert verdict.label == "periodic"
    assert verdict.advice.kind == "held" and not verdict.advice.code
    assert verdict.forecast.reason == HELD
    early = still.head(5)
    assert diagnose(watched(pd.concat([frame, early]))).advice.kind != "held"
