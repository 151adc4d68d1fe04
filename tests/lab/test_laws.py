"""The laws of a reading hold on recorded runs."""

import pytest

from benchmarks.transforms import BLURRED, EXACT, cautious
from limitcycle.lab import train
from limitcycle.reading import diagnose
from limitcycle.record import Run
from tests.reading.laws import jumps, spikes, wide

RECORDED = {
    "periodic": {"lr": 1.0, "weight_decay": 5e-3, "steps": 2_500},
    "momentum": {"lr": 0.1, "weight_decay": 5e-3, "momentum": 0.9, "steps": 2_500},
    "full batch": {"lr": 1.0, "weight_decay": 0.01, "batch_size": None, "steps": 2_500},
    "affine": {"lr": 1.0, "weight_decay": 3e-3, "norm": "batch-affine", "train_head": True},
    "stuck": {"lr": 100.0, "steps": 2_500},
    "calm": {"lr": 0.01, "steps": 2_500},
    "without decay": {"lr": 1.0, "weight_decay": 0.0, "steps": 2_500},
    "held": {"lr": 1.0, "fixed_norm": "start", "steps": 2_500},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RECORDED)
def test_the_laws_hold_on_recorded_runs(name, tmp_path):
    run = train(Run(**{"steps": 4_000, **RECORDED[name]}), tmp_path / "run", threads=1)
    table = wide(run.steps[["step", "loss", "norm", "lr", "weight_decay", "momentum"]])
    before = diagnose(table)
    for transform in EXACT.values():
        after = diagnose(transform(table))
        assert jumps(after) == jumps(before)
        assert spikes(after) == spikes(before)
    for transform in BLURRED.values():
        after = diagnose(transform(table))
        assert after.label == before.label or cautious(after)
