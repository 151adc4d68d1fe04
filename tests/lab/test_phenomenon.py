"""The phenomenon itself, on real data. Minutes, so with `make test-all`."""

import numpy as np
import pytest

from limitcycle.lab import demo_jobs, sweep, train
from limitcycle.reading import diagnose
from limitcycle.record import Run, load

LABELS = {
    "full-batch lr 1": "periodic",
    "lr 0.3": "periodic",
    "lr 1": "periodic",
    "lr 0.01": "converging",
    "lr 100": "stuck",
}
CONVNET = {
    "net": "convnet",
    "data": "cifar10",
    "width": 8,
    "resolution": 16,
    "train_size": 2_048,
    "test_size": 500,
    "lr": 0.1,
    "steps": 6_000,
}


def verdict(run):
    """The verdict on a recorded run."""
    sizes = {"train_size": run.info["train_size"], "batch_size": run.run.batch_size}
    return diagnose(run.steps, status=run.status, **sizes)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_demonstration_shows_what_it_promises(seed, tmp_path):
    jobs = demo_jobs(tmp_path, seed)
    assert [outcome.state for outcome in sweep(jobs)] == ["done"] * len(jobs)
    verdicts = {job.out.name: verdict(load(job.out)) for job in jobs}
    assert {name: v.label for name, v in verdicts.items()} == LABELS
    assert all(v.lock is None for v in verdicts.values()), "jumps locked to a place in the epoch"


@pytest.mark.slow
def test_ragged_last_batch_sets_off_jumps_and_is_named(tmp_path):
    """1,437 = 11 · 128 + 29 images: the artefact that the whole batches of the demo avoid."""
    run = train(Run(lr=0.3, steps=15_000, train_size=1_408 - 128 + 29), tmp_path / "run")
    found = verdict(run)
    assert found.lock is not None
    assert found.lock.batch_size == 29


@pytest.mark.slow
def test_convnet_on_cifar_is_periodic_and_not_without_weight_decay(cifar, tmp_path):
    with_decay = train(Run(weight_decay=5e-3, **CONVNET), tmp_path / "with", threads=1)
    found = verdict(with_decay)
    assert found.label == "periodic"
    assert len(found.events) >= 3
    half = {**CONVNET, "steps": 3_000}
    without = train(Run(weight_decay=0.0, **half), tmp_path / "without", threads=1)
    assert verdict(without).label in ("converging", "equilibrium")
    # Nothing then makes the norm fall, but for the leak of the normalisation's eps.
    assert np.diff(without.steps["norm"]).min() > -1e-5


@pytest.mark.slow
def test_resnet_on_cifar_destabilises(cifar, tmp_path):
    # When it jumps first hangs on the processor's last bits: by step 2,100 with all of four seeds.
    settings = {**CONVNET, "net": "resnet18", "resolution": 8, "steps": 4_000}
    run = train(Run(weight_decay=1e-2, **settings), tmp_path / "run", threads=1)
    assert len(verdict(run).events) >= 1
