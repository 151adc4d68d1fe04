"""A watch says when the next jump comes, cheaply, to whoever wants to know, and never fails."""

import dataclasses
import math
import time

import pandas as pd
import pytest
import torch
from torch import nn

import limitcycle as lc
from limitcycle.reading import Forecast
from limitcycle.reading.data import data_of
from limitcycle.reading.live import Live
from limitcycle.watching.loggers.curves import foretold
from tests.reading.series import FAST
from tests.watching import loops

DUE = Forecast(10.0, 20.0, 40.0, alarm=True, calibrated=True, reason="what decides")


def train(steps=60, **settings):
    model = loops.net()
    optimizer = torch.optim.SGD(model.parameters(), lr=loops.RATE, weight_decay=loops.DECAY)
    watch = lc.watch(model, optimizer, quiet=True, **settings)
    for step in range(steps):
        optimizer.zero_grad()
        loss = loops.loss_of(model, step)
        loss.backward()
        optimizer.step()
        watch.log(loss=loss)
    return watch


def test_it_is_what_the_diagnosis_says():
    watch = train()
    found = watch.forecast()
    assert math.isnan(found.median) and found.reason
    assert dataclasses.astuple(found)[3:] == dataclasses.astuple(watch.diagnosis().forecast)[3:]
    assert found.reason == watch.diagnosis().forecast.reason
    watch.close()
    assert watch.forecast().reason == found.reason


def test_before_the_first_step_it_has_a_reason():
    model = loops.net()
    with lc.watch(model, torch.optim.SGD(model.parameters(), lr=0.1), quiet=True) as watch:
        assert "too few rows" in watch.forecast().reason


def test_asking_changes_no_row_and_no_bit():
    plain, asked = train(), lc.watch
    model = loops.net()
    optimizer = torch.optim.SGD(model.parameters(), lr=loops.RATE, weight_decay=loops.DECAY)
    with asked(model, optimizer, quiet=True) as watch:
        for step in range(60):
            optimizer.zero_grad()
            loss = loops.loss_of(model, step)
            loss.backward()
            optimizer.step()
            watch.log(loss=loss)
            watch.forecast()
    plain.close()
    pd.testing.assert_frame_equal(watch.steps, plain.steps)


def test_what_goes_wrong_is_a_reason_and_no_exception(monkeypatch):
    def fail(_):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(Live, "forecast", fail)
    watch = train(steps=5)
    assert "a fault of ours" in watch.forecast().reason
    watch.close()


def test_sinks_that_want_to_know_are_told(monkeypatch):
    class Sink:
        def __init__(self):
            self.told = []

        def __call__(self, steps, groups):
            pass

        def foretell(self, step, forecast):
            self.told.append((step, forecast))

    monkeypatch.setattr(Live, "forecast", lambda _: DUE)
    sink = Sink()
    train(sink=sink).close()
    assert sink.told == [(59, DUE)]


def test_curves_of_a_forecast():
    assert foretold(DUE) == {
        "limitcycle/forecast_low": 10.0,
        "limitcycle/forecast_median": 20.0,
        "limitcycle/forecast_high": 40.0,
        "limitcycle/alarm": 1.0,
    }
    assert foretold(dataclasses.replace(DUE, median=math.nan)) == {}


def test_tensorboard_is_told(monkeypatch):
    class Writer:
        def __init__(self):
            self.scalars = {}

        def add_scalar(self, name, value, step):
            self.scalars[name, step] = value

        def add_text(self, *_):
            pass

        def flush(self):
            pass

    monkeypatch.setattr(Live, "forecast", lambda _: DUE)
    writer = Writer()
    train(sink=writer).close()
    assert writer.scalars["limitcycle/forecast_median", 59] == 20.0
    assert writer.scalars["limitcycle/alarm", 59] == 1.0


@pytest.mark.slow
def test_a_look_every_hundred_steps_costs_little():
    """Milliseconds of computing a look, whatever the machine does besides; a reading takes ten."""
    table, _ = dataclasses.replace(FAST, periods=25).run()
    table = table.assign(lr=1.0, weight_decay=FAST.rise / FAST.period, momentum=0.0)
    live, looks = Live(None), 0
    began = time.process_time()
    for row in range(0, len(table), 100):
        live.add(table[row : row + 100])
        live.forecast()
        looks += 1
    assert looks > 150
    assert (time.process_time() - began) / looks < 0.01


@pytest.mark.parametrize("kind", ["convnet", "per-sample", ""])
def test_the_kind_of_net_is_known_to_the_reading(kind, tmp_path):
    torch.manual_seed(0)
    images = kind == "convnet"
    first = nn.Conv2d(1, 4, 3, bias=False) if images else nn.Linear(8, 4, bias=False)
    norms = {"convnet": nn.BatchNorm2d, "per-sample": nn.LayerNorm, "": nn.BatchNorm1d}
    net = nn.Sequential(first, norms[kind](4), nn.Flatten(), nn.Linear(4 * 36 if images else 4, 2))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with lc.watch(net, optimizer, sink=tmp_path / "run", quiet=True) as w:
        for _ in range(3):
            loss = net(torch.randn(16, 1, 8, 8) if images else torch.randn(16, 8)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            w.log(loss=loss)
    assert w.run_data().net == kind
    assert data_of(lc.load(tmp_path / "run")).net == kind
