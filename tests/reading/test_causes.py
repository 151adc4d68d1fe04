"""Why a loss rose, on made tables: what moved first is known."""

import numpy as np
import pandas as pd
import pytest

from limitcycle.reading import diagnose
from limitcycle.reading.causes import CAUSES
from tests.reading.series import FAST

AT = 900


def calm(seed=0, rows=1_200):
    """A run at rest, each column with noise of its own."""
    rng = np.random.default_rng(seed)
    noise = {name: np.exp(0.3 * rng.standard_normal(rows)) for name in ("loss", "gradient")}
    step = np.arange(rows)
    return pd.DataFrame(
        {
            "step": step,
            "loss": (0.01 + 3 * np.exp(-step / 30)) * noise["loss"],
            "norm": 8 + 0.01 * np.sin(step / 40),
            "lr": 0.1,
            "weight_decay": 1e-3,
            "grad_norm": 0.1 * noise["gradient"],
            "rotation": 0.01 * noise["gradient"],
        }
    )


def with_rise(table, first, values=(0.3, 1.0, 2.0, 0.5, 0.1)):
    table.loc[first : first + len(values) - 1, "loss"] = values
    return table


def batch(table):
    return with_rise(table, AT, [2.0])


def learning_rate(table):
    table.loc[AT - 3 : AT + 10, "lr"] *= 4
    return with_rise(table, AT)


def arithmetic(table):
    table.loc[AT - 1, ["grad_norm", "rotation"]] = [80.0, 8e-2]
    return with_rise(table, AT, [2.0, 1.5, 0.4])


def optimizer(table):
    table.loc[AT - 2 : AT + 3, "rotation"] *= 40
    return with_rise(table, AT)


def second_moment(table):
    table["second_moment_lag"] = 0.1
    table.loc[AT - 2 : AT + 3, "second_moment_lag"] = 20.0
    table.loc[AT - 4 : AT + 3, "rotation"] *= np.geomspace(1.5, 8, 8)
    table.loc[AT - 4 : AT + 3, "grad_norm"] *= np.geomspace(1.5, 80, 8)
    return with_rise(table, AT)


def effective(table):
    table["norm"] = 8 * np.exp(-table["step"] / 2_000)
    table.loc[AT - 4 : AT + 3, "rotation"] *= np.geomspace(1.5, 8, 8)
    table.loc[AT - 4 : AT + 3, "grad_norm"] *= np.geomspace(1.5, 80, 8)
    return with_rise(table, AT)


MADE = {
    "batch": batch,
    "learning rate": learning_rate,
    "arithmetic": arithmetic,
    "optimizer": optimizer,
    "second moment": second_moment,
    "effective learning rate": effective,
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("cause", MADE)
def test_the_cause_that_was_put_in_is_named(cause, seed):
    found = diagnose(MADE[cause](calm(seed)))
    assert list(found.spikes["cause"]) == [cause]
    assert set(CAUSES) == {*MADE, "unknown"}
    assert found.spikes["evidence"].iloc[0][1:] in str(found)


@pytest.mark.parametrize("cause", MADE)
@pytest.mark.parametrize(("a", "b"), [(1, 1.0), (100, 0.0), (1, -5.0)])
def test_units_and_floor_of_the_loss_do_not_matter(cause, a, b):
    table = MADE[cause](calm())
    other = table.assign(loss=a * table["loss"] + b)
    assert list(diagnose(other).spikes["cause"]) == list(diagnose(table).spikes["cause"])


def test_a_loss_that_never_comes_back_is_said_with_its_cause():
    table = learning_rate(calm())
    table.loc[AT:, "loss"] = 2.3
    found = diagnose(table)
    assert found.changes[["kind", "cause"]].to_numpy().tolist() == [["level", "learning rate"]]
    assert found.label not in ("stuck", "periodic")
    assert "never comes back" in str(found) and "rose 4-fold" in str(found)
    soon = diagnose(table[: AT + 5])
    assert list(soon.changes["kind"]) == ["rise"]
    assert "has not come back yet" in str(soon)


def test_too_few_rows_or_rows_far_apart_leave_it_open():
    early = with_rise(calm()[AT - 40 :].reset_index(drop=True), 40)
    assert list(diagnose(early).spikes["cause"]) == ["unknown"]
    assert "it takes 45" in diagnose(early).spikes["evidence"].iloc[0]
    apart = effective(calm())
    apart["step"] *= 10
    spikes = diagnose(apart, weight_decay=1e-4).spikes
    assert list(spikes["cause"]) == ["unknown"]
    assert "10 steps apart" in spikes["evidence"].iloc[0]


def test_epochs_are_no_updates_and_a_jump_is_known_by_the_norm():
    table, _ = FAST.run()
    epochs = diagnose(table.rename(columns={"step": "epoch"}))
    assert set(epochs.events["cause"]) == {"effective learning rate"}
    bad = diagnose(batch(calm())[["step", "loss", "norm"]].rename(columns={"step": "epoch"}))
    assert list(bad.spikes["cause"]) == ["unknown"]
    assert "an epoch apart" in str(bad)


def test_a_table_of_loss_and_norm_alone_tells_what_it_can():
    table, _ = FAST.run()
    events = diagnose(table).events
    assert set(events["cause"]) == {"effective learning rate"}
    assert "grown" in events["evidence"].iloc[-1]
    assert list(diagnose(batch(calm())[["step", "loss", "norm"]]).spikes["cause"]) == ["batch"]


def test_what_is_not_known_of_some_rows_is_no_evidence():
    table = effective(calm())
    table.loc[AT - 200 :, ["lr", "grad_norm", "rotation"]] = np.nan
    assert list(diagnose(table).spikes["cause"]) == ["effective learning rate"]
