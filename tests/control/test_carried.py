"""Whose state controls can move: the reading's table says what they do."""

import torch

from limitcycle.control.degrees import degrees_of
from limitcycle.reading.optimizers import CARRIED


def test_what_is_said_to_be_movable_is():
    weights = [torch.nn.Parameter(torch.ones(2, 2))]
    for name in dir(torch.optim):
        kind = getattr(torch.optim, name)
        if not isinstance(kind, type) or name in ("Optimizer", "LBFGS"):
            continue
        assert (degrees_of(kind(weights)) is not None) == (name in CARRIED), name
