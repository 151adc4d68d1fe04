"""The description of a run: its identity, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest

from limitcycle.errors import UserError
from limitcycle.record import Run


def test_identity_knows_what_matters():
    assert Run(lr=1).identity == Run(lr=1.0).identity
    assert Run(batch_size="full") == Run(batch_size=None)
    assert Run().identity != Run(seed=1).identity
    assert Run(width=64).identity == Run().identity  # the default, spelled out


def test_description_survives_json():
    run = Run(net="convnet", data="cifar10", lr=0.03, fixed_norm="start", epochs=3)
    assert Run.from_dict(run.to_dict()) == run


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"net": "vgg"}, "net must be one of mlp, convnet, resnet18"),
        ({"lr": 0}, "lr must be positive"),
        ({"lr": float("nan")}, "lr must be a finite number"),
        ({"lr": 10.0, "weight_decay": 0.2}, "must be below 1"),
        ({"weight_decay": -1e-3}, "must not be negative"),
        ({"momentum": 1.0}, "below 1"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1"),
        ({"steps": 1, "epochs": 1}, "not both"),
        ({"fixed_norm": -1.0}, "fixed_norm must be positive"),
        ({"fixed_norm": "end"}, "fixed_norm must be"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"seed": None}, "seed must be a whole number"),
        ({"seed": 10**23}, "seed must be a whole number"),
        ({"start_from": 3}, "start_from must be a checkpoint's path"),
        ({"augment": "yes"}, "augment must be True or False"),
        ({"norm_eps": 1e300}, "norm_eps must be at most"),
    ],
)
def test_what_cannot_be_run_is_refused_by_name(settings, said):
    with pytest.raises(UserError, match=said):
        Run(**settings)


def test_numpy_numbers_and_paths_are_welcome():
    run = Run(lr=np.float32(0.5), steps=np.int64(3), start_from=Path("a/b"))
    assert run == Run(lr=0.5, steps=3, start_from="a/b")
    assert json.dumps(run.to_dict())


def test_unknown_settings_are_named():
    with pytest.raises(UserError, match="learning_rate"):
        Run.from_dict({"learning_rate": 1.0})
