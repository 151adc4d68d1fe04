"""Every door refuses in one line what it cannot use, before anything is done with it."""

import fractions
import math
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import limitcycle as lc
from limitcycle.checks import shown, usable_folder, usable_path
from limitcycle.lab import Job, plane_of, sweep
from limitcycle.lab.fits import refuse_impossible
from limitcycle.lab.how import How

CPU = torch.device("cpu")
SMALL = {"width": 8, "train_size": 64, "test_size": 16, "batch_size": 32, "steps": 3}
ODD = (
    *(None, True, "", "a", "\0", "x" * 5_000, b"a", [], {}, 1j, object(), fractions.Fraction(1, 3)),
    *(0, 1, -1, 2**63 - 1, 2**63, 10**400, 10**5_000, -(10**5_000), np.int64(3), np.uint8(2)),
    *(0.0, -0.0, 0.5, 1e-46, 1e-320, 1e46, 1e308, math.inf, -math.inf, math.nan, np.float32(0.1)),
    *("start", "full", "float64", "batch", "none", "digits", "mlp", Path("x"), Path("a/b")),
)


def refusal(call):
    """What a call is refused with: a line of reasonable length; None where it is taken."""
    try:
        call()
    except lc.UserError as refused:
        assert len(str(refused).splitlines()) == 1 and len(str(refused)) < 600
        return str(refused)
    return None


@pytest.mark.parametrize("name", [field.name for field in fields(lc.Run)])
def test_a_setting_of_a_run_is_taken_or_refused_by_its_name(name):
    for value in ODD:
        said = refusal(lambda value=value: lc.Run(**{name: value}))
        assert said is None or name in said or "lr × weight_decay" in said


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.dictionaries(st.sampled_from([f.name for f in fields(lc.Run)]), st.sampled_from(ODD)))
def test_settings_that_are_taken_make_a_run_or_are_refused_before_it_begins(chosen):
    made = []
    if refusal(lambda: made.append(lc.Run(**chosen))) is None:
        assert lc.Run.from_dict(made[0].to_dict()).identity == made[0].identity
        refusal(lambda: refuse_impossible(made[0], CPU))


@pytest.mark.parametrize("name", [field.name for field in fields(How)])
def test_how_a_run_is_computed_is_taken_or_refused(name, tmp_path):
    for value in ODD:
        refusal(lambda value=value: How(**{name: value}))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["workers", "threads", "together"])
def test_a_sweep_refuses_what_it_cannot_count(name, tmp_path):
    for value in (0, -1, 1.5, "2", True, 10**400):
        with pytest.raises(lc.UserError, match=name):
            sweep([Job(lc.Run(**SMALL), tmp_path / "run")], **{name: value})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("units", [0, -1, math.nan, math.inf, 10**400, "12", None, True])
def test_a_plane_s_units_are_a_number(units):
    with pytest.raises(lc.UserError, match="units must be positive and finite"):
        plane_of({"lr": [0.1, 1.0], "weight_decay": [1e-3, 1e-2]}, units=units)


@pytest.mark.parametrize("name", ["stuck_above", "lr", "weight_decay", "momentum"])
def test_an_argument_of_diagnose_is_taken_or_refused_by_its_name(name):
    table = {"step": range(40), "loss": [1.0] * 40, "norm": [1.0] * 40}
    for value in (10**400, -(10**400), math.nan, math.inf, "a", [1.0], object(), True, 1j):
        said = refusal(lambda value=value: lc.diagnose(table, **{name: value}))
        assert said is None or name in said


def test_a_column_of_whole_numbers_beyond_floats_is_refused():
    table = {"step": [0, 1], "loss": [10**400, 1], "norm": [1.0, 1.0]}
    assert "loss" in refusal(lambda: lc.diagnose(table))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"width": 2**63 - 1}, "width must be a whole number from 1 to 1,048,576"),
        ({"width": 2**20}, "GiB of memory"),
        ({"depth": 2**62}, "depth must be a whole number from 1 to 1,000"),
        ({"net": "convnet", "depth": 1_000}, "2^1000 pixels"),
        ({"init_scale": 1e-46}, "init_scale must be from 1.2e-38 to 3.4e"),
        ({"lr": 1e46, "weight_decay": 0.0}, "lr must be from"),
        ({"head_norm": 1e39}, "head_norm must be from"),
        ({"fixed_norm": 1e-39}, "fixed_norm must be from"),
        ({"batch_size": 2**62}, "more than the 1,408 training images"),
        ({"train_size": 2**62}, "1,408 images"),
        ({"test_size": 390}, "389 images"),
        ({"resolution": 7}, "does not divide 8"),
        ({"epochs": 2**62}, "more steps than can be counted"),
        ({"data": "cifar10", "train_size": 50_001}, "50,000 images"),
    ],
)
def test_what_can_never_be_trained_claims_no_folder(settings, said, tmp_path):
    with pytest.raises(lc.UserError, match=said.replace("^", r"\^")):
        lc.train(lc.Run(**settings), tmp_path / "not" / "there")
    assert not list(tmp_path.iterdir())


def test_a_float64_run_takes_what_float64_holds():
    assert lc.Run(init_scale=1e-46, dtype="float64").init_scale == 1e-46


@pytest.mark.parametrize("norm", ["batch", "batch-affine", "group", "layer"])
def test_without_eps_a_net_is_scale_invariant_exactly(norm, tmp_path):
    run = lc.Run(norm=norm, norm_eps=0, dtype="float64", **SMALL)
    steps = lc.train(run, tmp_path / "run").steps
    assert len(steps) == 3
    assert (steps["radial"].abs() < 1e-12 * steps["effective_grad_norm"]).all()


def test_a_norm_that_is_a_whole_number_is_held(tmp_path):
    steps = lc.train(lc.Run(fixed_norm=5, **SMALL), tmp_path / "run").steps
    assert steps["norm"].to_numpy() == pytest.approx(5, rel=1e-6)


def test_whatever_breaks_down_before_the_first_step_gives_the_folder_back(tmp_path, monkeypatch):
    def broken(*_, **__):
        raise TypeError("nobody thought of that")

    monkeypatch.setattr("limitcycle.lab.training.prepare", broken)
    with pytest.raises(TypeError):
        lc.train(lc.Run(**SMALL), tmp_path / "new" / "run")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "path", ["", " ", "a\0b", "\ud800", "x" * 256, "a/" + "é" * 200, "a/" * 2_100]
)
def test_a_path_that_no_system_takes_is_refused_wherever_it_is_given(path, tmp_path):
    with pytest.raises(lc.UserError, match="a path"):
        usable_path(path)
    for door in (lc.load, lc.load_all, lambda p: lc.train(lc.Run(**SMALL), p)):
        assert refusal(lambda door=door: door(path))


def test_a_folder_is_refused_where_none_can_be_made(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("file", "file/below", "dangling", "dangling/below"):
        with pytest.raises(lc.UserError, match=r"is no folder|is a link to nothing"):
            usable_folder(tmp_path / name)
    assert usable_folder(tmp_path / "new" / "er") == tmp_path / "new" / "er"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_refusal_repeats_a_value_in_a_line():
    assert shown("a\nb") == "'a\\nb'"
    assert len(shown("x" * 10_000)) < 130
    assert shown(10**5_000) == "a number of 16,610 bits"
