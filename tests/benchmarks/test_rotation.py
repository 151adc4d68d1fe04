"""The table of optimizers is measured as it says: a small case of each kind."""

import math

import pytest
import torch

from benchmarks import rotation
from benchmarks.rotation import Case, measure, row

CASES = [
    (Case("SGD", torch.optim.SGD, 0.05, 0.01, {"momentum": 0.5}), 2, 1),
    (Case("AdamW", torch.optim.AdamW, 1e-3, 1.0, {}), 1, 1),
    (Case("Muon", torch.optim.Muon, 0.02, 0.05, {"momentum": 0.8}, (16, 16)), 1, 1),
    (Case("Adafactor", torch.optim.Adafactor, 1e-2, 0.03, {}), 0, 1),
    (Case("Adam", torch.optim.Adam, 1e-3, 0.3, {}), 1, math.nan),
]


@pytest.mark.parametrize(("case", "power", "decay"), CASES)
def test_what_is_known_is_what_is_measured(case, power, decay, monkeypatch):
    monkeypatch.setattr(rotation, "REST_STEPS", 800)
    found = measure(case, 1)
    assert found.power == pytest.approx(power, abs=0.02)
    assert found.rule.decays == math.isfinite(decay)
    if found.rule.decays:
        assert found.decay == pytest.approx(decay, abs=0.01) and found.across < 0.02
    else:
        assert found.across > 0.1
    if found.rule.equilibrium:
        assert found.ratios[0] == pytest.approx(1, abs=0.06)
    assert row(found).count("|") == 10
    assert (row(found).split("|")[8].strip() == "–") == (found.rule.equilibrium == "")
