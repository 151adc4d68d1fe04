"""Similarities read from snapshots: a trained run, and snapshots with weights made by hand."""

import numpy as np
import pytest

from limitcycle.lab import train
from limitcycle.paper.evidence import MissingError
from limitcycle.paper.questions import minima
from limitcycle.reading.history import history_of
from limitcycle.record import Run
from limitcycle.record.checkpoints import read_checkpoint
from tests.paper.records import calm, sawtooth

RUN = Run(lr=1.0, weight_decay=0.01, steps=900, snapshot_every=10)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """A run with periods and an independent one, both with snapshots."""
    folder = tmp_path_factory.mktemp("runs")
    other = Run(**{**RUN.to_dict(), "seed": 1})
    return train(RUN, folder / "one"), train(other, folder / "other")


@pytest.fixture(scope="module")
def found(loaded):
    """Their similarity."""
    return minima.similarity(*(history_of(run, "") for run in loaded))


def test_the_anchor_is_like_itself(found):
    assert found.cosine[found.anchor] == pytest.approx(1)
    assert found.ensemble[found.anchor] == found.error[found.anchor]
    assert found.period[found.anchor] == 0
    assert found.quiet[found.anchor]


def test_the_cosine_is_that_of_the_weights_in_the_snapshots(found, loaded):
    files = loaded[0].snapshots
    first, anchor = (
        np.concatenate(
            [a.ravel() for n, a in read_checkpoint(file).arrays.items() if "weights" in n]
        )
        for file in (files[0], files[found.anchor])
    )
    cosine = first @ anchor / np.linalg.norm(first) / np.linalg.norm(anchor)
    assert found.cosine[0] == pytest.approx(cosine, abs=1e-6)


def test_errors_are_those_of_the_epoch_table(found, loaded):
    epochs = loaded[0].epochs
    last = epochs.loc[epochs["step"] == 900, "test_error"].item()
    assert found.steps[-1] == 900
    assert found.error[-1] == pytest.approx(last, abs=1e-6)


def test_the_independent_network_is_matched_by_test_error(found, loaded):
    epochs = loaded[1].epochs
    anchor = found.error[found.anchor]
    assert abs(found.other_error - anchor) <= np.abs(epochs["test_error"] - anchor).min() + 0.02
    assert np.abs(found.other_cosine).max() < 0.5


def test_the_anchor_has_the_lowest_loss_of_the_first_consistent_period():
    history = history_of(sawtooth(period=700), "")
    steps = np.arange(50.0, len(history.clock.steps), 50)
    anchor = steps[minima.anchor_of(history, steps)]
    starts = history.diagnosis.events["start"].to_numpy(dtype=float)
    assert history.diagnosis.consistent_from is not None
    assert anchor > history.diagnosis.consistent_from
    assert np.searchsorted(starts, anchor) == np.searchsorted(
        starts, history.diagnosis.consistent_from, side="right"
    )
    assert minima.in_phase_b(history, np.array([anchor])).all()


def test_without_destabilisations_there_is_no_anchor():
    history = history_of(calm(), "")
    with pytest.raises(MissingError):
        minima.anchor_of(history, np.arange(50.0, 5000, 50))


def test_without_snapshots_there_is_no_similarity(tmp_path):
    run = Run(lr=1.0, weight_decay=0.01, steps=60, width=8, depth=1)
    history = history_of(train(run, tmp_path / "run"), "")
    with pytest.raises(MissingError):
        minima.similarity(history, history)
