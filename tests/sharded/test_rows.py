"""Rows of a sharded training are those of the same one in a single process."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import limitcycle as lc
from tests.sharded import cases
from tests.sharded.processes import run

EXACT = 1e-12
ON_FOUR = [
    "hsdp",
    "empty shards",
    "width 7",
    "fsdp and tensor",
    "experts",
    "offloaded",
    "not resharded",
    "zero",
]
ON_TWO = [
    "fsdp2",
    "fsdp2 adamw",
    "float32",
    "ignored",
    "tensor parallel",
    "two optimizers",
    "ddp",
    "fsdp1",
]


@pytest.fixture(scope="module", name="trained")
def all_trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """What each process of each case says; one start of processes for many cases."""
    folder = tmp_path_factory.mktemp("sharded")
    found: dict[str, list[dict[str, Any]]] = {}
    for size, names in ((2, ON_TWO), (4, ON_FOUR)):
        answers = run(cases.work, size, folder / str(size), names, True)
        for name in names:
            found[name] = [answer[name] for answer in answers]
            found[name][0]["folder"] = folder / str(size) / name
    return found


def error(one: pd.DataFrame, two: pd.DataFrame, column: str) -> float:
    """The largest difference relative to what the column is made of."""
    a, b = one[column].to_numpy(float), two[column].to_numpy(float)
    assert (np.isnan(a) == np.isnan(b)).all(), column
    size = np.abs(a)
    if column == "radial":  # zero but for rounding
        size = (one["norm"] * one["grad_norm"]).to_numpy()
    if column == "radial_share":
        size = np.ones(len(a))
    found = np.abs(a - b) / np.maximum(size, 1e-300)
    return 0.0 if np.isnan(found).all() else float(np.nanmax(found))


@pytest.mark.slow
@pytest.mark.parametrize("name", [*ON_TWO, *ON_FOUR])
def test_rows_are_those_of_one_process(name: str, trained: Any) -> None:
    alone = cases.train(name, 0, 1, None)
    first = trained[name][0]
    limit = 1e-5 if name == "float32" else EXACT
    for table in ("steps", "groups"):
        one, two = alone[table], first[table]
        absent = set(one.columns) - set(two.columns)
        # ZeroRedundancyOptimizer keeps the state of a part of the tensors on each process.
        assert absent == ({"second_moment_lag"} if name == "zero" else set())
        assert len(one) == len(two)
        for column in two.columns.drop(["loss", "group"], errors="ignore"):
            assert error(one, two, column) <= limit, (table, column)
    assert error(alone["steps"], first["steps"], "loss") <= 1e-5 or name == "zero"
    assert list(alone["groups"]["group"]) == list(first["groups"]["group"])
    saved = lc.load(first["folder"])
    assert saved.status == {"state": "done", "step": cases.STEPS, "reason": ""}
    assert len(saved.steps) == cases.STEPS


@pytest.mark.slow
@pytest.mark.parametrize("name", [*ON_TWO, *ON_FOUR])
def test_training_keeps_its_bits(name: str, trained: Any) -> None:
    assert [each["same"] for each in trained[name]] == [True] * len(trained[name])


@pytest.mark.slow
def test_measured_weights_are_the_whole_ones(tmp_path: Path) -> None:
    """Muon and half precision train otherwise on several processes; rows say what is there."""
    answers = run(cases.against_whole, 2, tmp_path, ["muon", "half"])
    for name, worst in answers[0].items():
        assert worst <= (1e-12 if name == "muon" else 1e-6), name
        assert not math.isnan(worst)


@pytest.mark.slow
def test_stages_of_a_pipeline_make_one_table(tmp_path: Path) -> None:
    steps, groups = run(cases.pipeline, 2, tmp_path)[0]
    alone, of_groups = cases.pipeline(0, 1, str(tmp_path))
    for column in ("norm", "grad_norm", "rotation", "effective_lr"):
        assert error(alone, steps, column) <= EXACT
        theirs = groups.set_index("group")[column].groupby(level=0).apply(list)
        ours = of_groups.set_index("group")[column].groupby(level=0).apply(list)
        assert theirs.keys().equals(ours.keys())
        for one, two in zip(ours, theirs, strict=True):
            assert one == pytest.approx(two, rel=EXACT)


@pytest.mark.slow
def test_controls_move_sharded_weights_as_whole_ones(tmp_path: Path) -> None:
    names = list(cases.CONTROLS)
    answers = run(cases.control, 4, tmp_path, names)
    alone = cases.control(0, 1, "", names)
    for name in names:
        for rank in range(4):
            for key, weight in alone[name].items():
                there = answers[rank][name][key]
                assert float((there - weight).norm() / weight.norm()) <= 1e-14, (name, key)


@pytest.mark.slow
def test_a_job_goes_on_behind_what_its_folder_holds(tmp_path: Path) -> None:
    answers = run(cases.twice, 2, tmp_path)
    assert [answer[0] for answer in answers] == [2 * cases.STEPS] * 2
    assert lc.load(tmp_path / "run").steps["step"].to_list() == list(range(2 * cases.STEPS))
