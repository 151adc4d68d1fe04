"""The description of a run: its identity, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest

from limitcycle.errors import UserError
from limitcycle.record import Run, RunFolder


def test_identity_knows_what_matters():
    assert Run(lr=1).identity == Run(lr=1.0).identity
    assert Run(batch_size="full") == Run(batch_size=None)
    assert Run().identity != Run(seed=1).identity
    assert Run(width=64).identity == Run().identity  # the default, spelled out


@pytest.mark.parametrize(
    ("run", "identity"),
    [
        (Run(), "9a7255952c6e88c9"),
        (
            Run(net="convnet", data="cifar10", lr=0.03, fixed_norm="start", epochs=3),
            "1b5461c0e5e3533e",
        ),
        (Run(start_from="a/b/c"), "ae13e9cbac632d5f"),
    ],
)
def test_identity_stays_what_it_was_in_the_folders_of_earlier_versions(run, identity):
    assert run.identity == identity


def parent(folder: Path, run: Run) -> str:
    """A folder that holds ``run``, and the path of a snapshot in it."""
    with RunFolder(folder, run, {}):
        return str(folder / "snapshots" / "step-000000000009.safetensors")


def test_identity_of_a_follower_outlives_where_its_parent_lies(tmp_path, monkeypatch):
    here = parent(tmp_path / "a" / "run", Run())
    moved = parent(tmp_path / "b" / "renamed", Run())
    assert Run(start_from=here).identity == Run(start_from=moved).identity
    monkeypatch.chdir(tmp_path)
    relative = Run(start_from="a/run/snapshots/step-000000000009.safetensors")
    assert relative.identity == Run(start_from=here).identity
    other = Run(start_from=parent(tmp_path / "c" / "run", Run(seed=1)))
    later = Run(start_from=here.replace("09.safe", "19.safe"))
    assert len({run.identity for run in (relative, other, later, Run())}) == 4


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
