"""What loggers are given, whichever it is; and what is said where one is missing."""

import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

import limitcycle as lc
from limitcycle.errors import UserError
from limitcycle.measure import together
from limitcycle.record import GROUP_COLUMNS, STEP_COLUMNS
from limitcycle.record.roles import candidates
from limitcycle.watching import MLflow, TensorBoard, WandB
from limitcycle.watching.loggers.curves import Curves, curve, settings
from limitcycle.watching.settings import run_info
from tests.watching import loops
from tests.watching.loggers.jobs import train


def frames(first, steps, **columns):
    table = pd.DataFrame({"step": np.arange(first, steps), **columns})
    names = ("a.weight", "b.weight (+2)")
    parts = [table.assign(group=name, norm=index) for index, name in enumerate(names)]
    return table, pd.concat(parts).sort_values("step", kind="stable", ignore_index=True)


def test_every_takes_steps_of_the_whole_job_and_the_groups_of_the_last_of_them():
    curves = Curves(["norm"], every=4)
    points = curves.of(*frames(0, 7, loss=1.0)) + curves.of(*frames(7, 14, loss=2.0))
    assert [step for step, _ in points] == [0, 4, 8, 12]
    groups = {"limitcycle_norm/a.weight": 0.0, "limitcycle_norm/b.weight_and_2_more": 1.0}
    assert [values for _, values in points] == [
        {"limitcycle/loss": 1.0},
        {"limitcycle/loss": 1.0, **groups},
        {"limitcycle/loss": 2.0},
        {"limitcycle/loss": 2.0, **groups},
    ]
    assert curves.of(*frames(13, 16, loss=1.0)) == []


def test_a_curve_begins_with_its_first_number_and_then_shows_nan():
    curves = Curves([], every=1)
    late = np.array([np.nan, 0.5, np.nan])
    (_, one), *_ = curves.of(*frames(0, 3, loss=np.nan, lr=0.1))
    first, *_ = (values for _, values in curves.of(*frames(3, 6, loss=late, lr=0.1)))
    *_, last = (values for _, values in curves.of(*frames(6, 9, loss=np.nan, lr=0.1)))
    assert one == {"limitcycle/lr": 0.1}
    assert np.isnan(first["limitcycle/loss"]) and np.isnan(last["limitcycle/loss"])


def test_names_are_characters_that_every_logger_takes():
    for name in ("conv.weight (+12)", "a b[3].weight", "ü.größe", "other"):
        for found in (curve("rotation", name), curve(name)):  # MLflow takes the fewest
            assert re.fullmatch(r"limitcycle[/\w.-]+", found)


def test_no_curve_is_the_folder_of_another():
    columns = set(STEP_COLUMNS) | set(GROUP_COLUMNS)
    names = {curve(c, group) for c in columns for group in (None, "norm", "b.weight")}
    assert len(names) == 3 * len(columns)
    assert not any(other.startswith(f"{name}/") for name in names for other in names)


def test_settings_in_which_parameter_groups_differ_are_listed():
    model = loops.net()
    optimizer = loops.two_groups(model)
    found = settings(
        run_info(model, together(optimizer), 1), lc.symmetries(model, loops.batch(0)[0])
    )
    assert (found["lr"], found["weight_decay"]) == ("0.2, 0.05", "0.0, 0.1")
    assert (found["nesterov"], found["model"], found["optimizer"]) == (False, "Net", "SGD")
    assert found["scale_invariant"] == "2 of 4 tensors"
    assert all(isinstance(value, bool | int | float | str) for value in found.values())


@pytest.mark.parametrize(
    ("make", "extra", "module"),
    [
        (lambda: TensorBoard("tb"), "tensorboard", "torch.utils.tensorboard"),
        (WandB, "wandb", "wandb"),
        (MLflow, "mlflow", "mlflow"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(make, extra, module, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match=rf"needs {extra}: pip install 'limitcycle\[{extra}\]'"):
        make()


def test_a_folder_of_the_packages_name_is_not_the_package(monkeypatch, tmp_path):
    (tmp_path / "wandb").mkdir()  # where runs were logged
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(sys, "meta_path", [sys.meta_path[-1]])
    with pytest.raises(UserError, match=r"limitcycle\[wandb\]"):
        WandB()
    monkeypatch.delitem(sys.modules, "wandb", raising=False)


LAZY = """
import sys
import limitcycle.watching
loaded = {"tensorboard", "torch.utils.tensorboard", "wandb", "mlflow"} & set(sys.modules)
assert not loaded, loaded
"""


@pytest.mark.slow
def test_watching_imports_no_logger():
    subprocess.run([sys.executable, "-c", LAZY], check=True, timeout=120)


def test_mistakes_are_refused_where_they_are_made(tmp_path):
    with pytest.raises(UserError, match="a SummaryWriter or a folder, not int"):
        TensorBoard(3)
    with pytest.raises(UserError, match="'norms' is none"):
        TensorBoard(tmp_path, groups=["norms"])
    with pytest.raises(UserError, match="every must be a whole number"):
        TensorBoard(tmp_path, every=0)
    with pytest.raises(UserError, match="not SGD"):
        train(torch.optim.SGD(loops.net().parameters()), 0)


def test_a_logger_is_told_everything_in_order():
    told = []

    class Mine:
        def begin(self, info, symmetries, step):
            told.append(("begin", info["watched"]["optimizer"], symmetries.scale_invariant, step))

        def __call__(self, steps, groups):
            told.append(("rows", len(steps)))

        def close(self, state, step, reason, diagnosis):
            told.append(("close", state, step, reason, diagnosis))

    w = train(Mine(), 8)
    assert told[0] == ("begin", "SGD", ("one.weight", "two.weight"), 0)
    assert told[1:-1] == [("rows", 6), ("rows", 2)]
    assert told[-1][:4] == ("close", "done", 8, "") and str(told[-1][4]) == str(w.diagnosis())


def test_what_was_logged_here_is_taken_before_what_a_user_logged():
    names = ["train/loss", "limitcycle/loss", "weight_norm", "limitcycle_norm/one.weight"]
    assert candidates("loss", names) == ["limitcycle/loss"]
    assert candidates("norm", names) == ["weight_norm"]
