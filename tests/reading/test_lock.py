"""Jumps that come at one position in the epoch are told from those that do not."""

import dataclasses

import numpy as np
import pytest

from limitcycle.reading import diagnose
from tests.reading.series import FAST

BATCHES = 12


def run(jumps=9, locked=True, seed=0, behind=0):
    """Twelve batches an epoch; jumps begin ``behind`` rows behind the last one, or anywhere."""
    jitter = 0.0 if locked else 0.2
    frame, starts = dataclasses.replace(
        FAST, periods=jumps, period=60 * BATCHES, jitter=jitter, loss_noise=0.1, climb=1, seed=seed
    ).run()
    frame["step"] += (behind - starts[0] - 2) % BATCHES
    frame["epoch"] = frame["step"] // BATCHES
    return frame


@pytest.mark.parametrize("behind", [0, 1])
def test_locked_jumps_name_the_batch_and_its_size(behind):
    """Whether the small batch shows the first high loss itself (0) or the batch behind it (1)."""
    verdict = diagnose(run(behind=behind), train_size=1437, batch_size=128)
    lock = verdict.lock
    assert (lock.position, lock.batches, lock.hits, lock.jumps) == (11, BATCHES, 9, 9)
    assert lock.batch_size == 29
    assert "9 of 9 jumps follow the same batch, of size 29: look at that batch" in str(verdict)


def test_without_sizes_only_the_position_is_named():
    verdict = diagnose(run())
    assert verdict.lock.batch_size is None
    assert "9 of 9 jumps follow the same batch: look" in str(verdict)


def test_three_coincidences_are_chance():
    verdict = diagnose(run(jumps=3))
    assert len(verdict.events) == 3
    assert verdict.lock is None
    assert "fewer" in verdict.lock_reason


@pytest.mark.parametrize("seed", range(20))
def test_free_jumps_are_not_locked(seed):
    verdict = diagnose(run(locked=False, seed=seed))
    assert verdict.lock is None
    assert verdict.lock_reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda frame: frame.drop(columns="epoch"), "epoch"),
        (lambda frame: frame[::3], "every step"),
        (lambda frame: frame.assign(epoch=frame["step"]), "one batch"),
        (lambda frame: frame.assign(epoch=np.nan), "epoch"),
    ],
)
def test_what_cannot_be_told_has_a_reason(change, reason):
    verdict = diagnose(change(run()))
    assert verdict.label == "periodic"
    assert verdict.lock is None
    assert reason in verdict.lock_reason


def test_parts_of_epochs_are_epochs_too():
    frame = run()
    assert diagnose(frame.assign(epoch=frame["step"] / BATCHES)).lock == diagnose(frame).lock
