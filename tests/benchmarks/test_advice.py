"""The A/B of the advice: what it counts, what it changes, and what following the advice does."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from limitcycle.lab import demo_jobs
from limitcycle.reading import Advice
from limitcycle.record import Run

FILE = Path(__file__).parents[2] / "benchmarks" / "advice.py"


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("benchmark_of_advice", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_spike_is_a_rise_from_calm(bench):
    loss = np.array([2.0, 0.5, 0.05, 0.005, 0.5, 0.05, 0.5, 0.005, 0.05, 0.005, 0.2])
    assert bench.spikes(loss) == 2


def test_each_way_changes_what_its_name_says(bench):
    run, advice = Run(lr=4.0, weight_decay=0.01), Advice("approaching", growth=2.5)
    changes = {
        name: change(run, advice) for ways in bench.WAYS.values() for name, change in ways.items()
    }
    assert changes == {
        "weight decay ÷ 2": {"weight_decay": 0.005},
        "norm held": {"fixed_norm": "start"},
        "norm held, learning rate ÷ growth": {"fixed_norm": "start", "lr": 1.6},
        "learning rate ÷ 100": {"lr": 0.04},
        "weight decay ÷ 100": {"weight_decay": 0.0001},
        "norm held, learning rate ÷ 100": {"fixed_norm": "start", "lr": 0.04},
    }


@pytest.mark.slow
def test_following_the_advice_ends_the_jumps_and_frees_the_stuck(bench, tmp_path, monkeypatch):
    shorter = {"lr 1": 6_000, "lr 100": 4_000}

    def jobs(*given):
        return [
            job._replace(run=replace(job.run, steps=shorter[job.out.name]))
            for job in demo_jobs(*given)
            if job.out.name in shorter
        ]

    monkeypatch.setattr(bench, "demo_jobs", jobs)
    names = list(shorter)
    found = {(one.run, one.way): one for one in bench.compare(tmp_path, [0], names)}
    base, halved, held = (
        found["lr 1", way]
        for way in (bench.AS_IT_WAS, "weight decay ÷ 2", "norm held, learning rate ÷ growth")
    )
    assert base.jumps >= 5 and base.spikes >= 5
    assert 0 < halved.jumps < base.jumps
    assert held.spikes == 0 and held.worst_error < base.worst_error / 3
    stuck, freed = (found["lr 100", way] for way in (bench.AS_IT_WAS, "learning rate ÷ 100"))
    assert stuck.label == "stuck" and freed.label != "stuck"
    assert freed.final_error < stuck.final_error / 3
    calm = found["lr 100", "norm held, learning rate ÷ 100"]
    assert calm.spikes == 0 and calm.final_error < stuck.final_error / 3
    shown = bench.table(found.values())
    assert shown.count("\n| lr 1 |") == 4 and "said → in fact" in shown
    json.dumps([one._asdict() for one in found.values()], allow_nan=False)
