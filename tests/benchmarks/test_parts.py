"""Each benchmark at tiny sizes, and that the conventional loop does the lab's work."""

import sys

import numpy as np
import pytest
import torch

from benchmarks import (
    control_overhead,
    engine_overhead,
    long_run,
    machine,
    models,
    records,
    search_cost,
    versus,
    watch_overhead,
)
from benchmarks.conventional import Aids, Pictures, fair, go, pictures_of
from limitcycle.lab import train
from limitcycle.lab.data import load_dataset
from limitcycle.record import Run
from limitcycle.watching import Watch

DIGITS = Run(
    net="convnet", data="digits", width=4, depth=2, epochs=2, train_size=256, test_size=128
)


@pytest.fixture(autouse=True)
def own_allocator(monkeypatch):
    """Thresholds cannot be taken back: the process of the tests keeps its own."""
    monkeypatch.setattr("limitcycle.lab.machine.own_process", lambda: None)


def at_once(function, *arguments):
    return function(*arguments)


def sound(rows):
    assert all(np.isfinite([row.a.seconds, row.b.seconds, row.ratio]).all() for row in rows)
    assert len({row.what for row in rows}) == len(rows)
    return rows


def test_pictures_are_the_labs_images():
    ours = load_dataset(DIGITS, torch.device("cpu"))
    train_pictures, test_pictures = pictures_of(DIGITS)
    for pictures, images, labels in (
        (train_pictures, ours.train_images, ours.train_labels),
        (test_pictures, ours.test_images, ours.test_labels),
    ):
        theirs = torch.stack([pictures[index][0] for index in range(len(pictures))])
        torch.testing.assert_close(theirs, images, rtol=0, atol=1e-5)
        assert [pictures[index][1] for index in range(len(pictures))] == labels.tolist()


def test_coloured_pictures_are_normalised_by_channel():
    images = np.zeros((1, 3, 4, 4), np.uint8)
    images[0, 1] = 255
    image, label = Pictures(images, np.array([7]), 255.0, (0.5, 0.5, 0.5), (0.5, 0.25, 1.0))[0]
    assert label == 7
    assert image[:, 2, 1].tolist() == [-1.0, 2.0, -0.5]


@pytest.mark.parametrize("aids", [Aids(), Aids(channels_last=True, resident=True)])
def test_the_conventional_loop_measures_what_the_lab_measures(tmp_path, aids):
    spent = go(DIGITS, aids)
    epochs = train(Run(**{**DIGITS.to_dict(), "train_pass": True}), tmp_path / "run").epochs
    assert len(spent.table) == len(epochs) == 3
    # Both start from the same weights, and running statistics that nothing has moved.
    first, ours = spent.table[0], epochs.iloc[0]
    assert first["test_loss"] == pytest.approx(ours["test_loss"], rel=1e-4)
    assert first["test_error"] == pytest.approx(ours["test_error"], abs=1e-6)
    assert spent.steps == 4
    assert set(spent.seconds) == {
        *("training", "checkpoints", "train pass", "test pass", "gradient pass")
    }
    assert spent.table[-1]["train_loss"] != first["train_loss"]


def test_what_is_unfair_shows():
    spent = go(Run(**{**DIGITS.to_dict(), "epochs": 1}), Aids(resident=True))
    slowed = spent._replace(seconds={**spent.seconds, "training": 9 * spent.bare * spent.steps})
    assert fair([slowed]).ok is False
    assert fair([slowed]).ratio == pytest.approx(9)


@pytest.mark.slow
def test_the_chain_multiplies_to_the_whole():
    run = Run(**{**DIGITS.to_dict(), "epochs": 1})
    rows = sound(versus.rows(run, rounds=1, start=at_once))
    causes = [row.ratio for row in rows if row.what.startswith("cause")]
    assert len(causes) == 5
    assert np.prod(causes) == pytest.approx(rows[0].ratio)


@pytest.mark.slow
def test_watching_and_control_are_timed():
    small = {"width": 4, "batch": 8}
    shares = sound(watch_overhead.rows(steps=2, only="large", **small))
    shares += sound(control_overhead.rows(steps=1, **small))
    assert len(shares) == 1 + len(control_overhead.CONTROLS)
    assert all(0 < row.ratio < 1 for row in shares)


def test_a_round_of_ten_steps_counts_as_its_mean(monkeypatch):
    bench = models.perceptron(8)
    inside, reading, whole = watch_overhead.watched(bench, 30, {"every": 10})
    assert inside.shape == reading.shape == whole.shape == (3,)
    every_step, _, _ = watch_overhead.watched(bench, 30, {})
    # The least of each: a neighbour's work only ever adds to a time.
    assert inside.min() < every_step.min()


def test_reading_out_counts(monkeypatch):
    monkeypatch.setattr(sys.modules[Watch.__module__], "READ_AFTER", 0.0)
    bench = models.perceptron(8)
    _, reading, whole = watch_overhead.watched(bench, 4, {})
    assert (reading > 0).all()
    assert (reading < whole).all()


def test_the_short_step_has_its_rows():
    assert len(sound(watch_overhead.small(10))) == len(watch_overhead.SMALL)


@pytest.mark.slow
def test_searching_and_the_bare_pass_are_timed(monkeypatch):
    sound(search_cost.rows(width=4, batch=4, side=16))
    monkeypatch.setattr(machine, "alone", at_once)
    sound(machine.rows(width=4, batch=4, passes=1, rounds=1))


def test_the_engine_is_timed(monkeypatch):
    run, _, _, bound = engine_overhead.CASES["digits MLP"]
    monkeypatch.setattr(engine_overhead, "CASES", {"digits MLP": (run, 2, 1, bound)})
    assert len(sound(engine_overhead.rows(only="digits"))) == 1


@pytest.mark.slow
def test_records_are_timed_and_their_oscillator_is_one():
    rows = sound(records.rows(steps=4_000, rounds=1))
    assert [row.within for row in rows] == [0.5, 5.0, 1.0, 0.4, 0.4]


def test_the_made_up_record_is_periodic(tmp_path):
    records.write_record(tmp_path / "run", 20_000)
    verdict = records.diagnose(records.load(tmp_path / "run"))
    assert verdict.label == "periodic"


def test_a_step_is_profiled():
    pytest.importorskip("sklearn")
    assert "aten::" in machine.profiled("mlp", steps=1)


@pytest.mark.parametrize("to_folder", [False, True])
def test_a_long_run_says_memory_and_time_of_every_tenth(to_folder):
    found = np.array(long_run.watched(100, 3, to_folder))
    assert found.shape == (long_run.TENTHS, 2) and (found > 0).all()
