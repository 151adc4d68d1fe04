"""Tables that do not show their jumps say so."""

import numpy as np
import pandas as pd
import pytest

from limitcycle.reading import diagnose
from tests.reading.series import CLEAN, FAST, SLOW


def notes_of(table):
    return " ".join(diagnose(table).notes)


@pytest.mark.parametrize(("jumps", "rows"), [(FAST, 100), (CLEAN, 200)])
def test_rows_further_apart_than_a_jump_lasts(jumps, rows):
    table, _ = jumps.run()
    assert "further apart" not in notes_of(table)
    assert "further apart" in notes_of(table.iloc[::rows])


def test_small_climbs_of_the_norm_show_an_averaged_loss():
    """A loss that looks quiet, and a norm that rises by 7 % again and again."""
    rng = np.random.default_rng(0)
    rows, period = 3_000, 300
    phase = np.arange(rows) % period
    high = 2 * np.exp(-((phase - 285) ** 2) / 50)
    growth = 0.07 * high / (high.sum() * period / rows) - 0.07 / period
    log_norm = np.concatenate([[0.0], np.cumsum(growth)[:-1]])
    loss = (0.05 + high) * np.exp(0.2 * rng.standard_normal(rows))
    loss[:200] += 3 * np.exp(-np.arange(200) / 20)
    table = pd.DataFrame({"step": np.arange(rows), "loss": loss, "norm": 5 * np.exp(log_norm)})
    assert "averaged" not in notes_of(table)
    averaged = table.assign(loss=table["loss"].rolling(100, min_periods=1).mean())
    assert "averaged" in notes_of(averaged)


def test_slow_jumps_may_be_thinned():
    table, _ = SLOW.run()
    assert diagnose(table.iloc[::20]).notes == ()
