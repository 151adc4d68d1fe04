"""The forecast on runs that are trained for it: its range, and the alarm of full batches."""

import dataclasses

import numpy as np
import pytest

import limitcycle as lc
from limitcycle.reading.data import data_of

SETTINGS = {
    "mini-batch": {"lr": 1.0, "weight_decay": 0.003, "steps": 2_000, "width": 32},
    "full batch": {
        "lr": 1.0,
        "weight_decay": 0.006,
        "steps": 3_000,
        "width": 32,
        "train_size": 256,
        "batch_size": "full",
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", SETTINGS)
def test_a_range_holds_the_next_jump(kind, tmp_path):
    run = lc.train(lc.Run(**SETTINGS[kind], seed=97_001, eval_every=3_000), tmp_path / "run")
    data, starts = data_of(run), lc.diagnose(run).events["start"].to_numpy()
    assert len(starts) >= 6
    right, alarms = [], []
    for row in np.random.default_rng(0).integers(starts[2] + 1, starts[-1], 60):
        until = dataclasses.replace(data, steps=run.steps.iloc[: row + 1], status=None)
        found = lc.diagnose(until).forecast
        if np.isnan(found.median):
            continue
        rest = starts[starts > row][0] - row
        right.append(found.low <= rest <= found.high)
        alarms += [rest / np.median(np.diff(starts))] if found.alarm else []
        assert found.calibrated
    assert len(right) >= 36  # withheld at two of five moments at most
    assert np.mean(right) >= 0.6  # of one run: runs differ
    if kind == "full batch":
        assert alarms and np.median(alarms) < 0.5
    else:
        assert not alarms
