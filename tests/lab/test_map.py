"""Maps: every cell made once, gone on with, taken over by finer planes; none is lost."""

import numpy as np
import pandas as pd
import pytest

from limitcycle.errors import UserError
from limitcycle.lab import Map, map_plane, plane_of
from limitcycle.record import load

SMALL = {"width": 8, "train_size": 256, "test_size": 64, "steps": 40}
PLANE = {"lr": [0.1, 1.0, 3.0], "weight_decay": [1e-3, 1e-2, 0.1], **SMALL}


def made_runs(out):
    """Folder → when its step table was written: a run that is made twice has a newer one."""
    return {
        folder.name: max([part.stat().st_mtime_ns for part in folder.glob("steps/*")], default=0)
        for folder in (out / "cells").iterdir()
    }


def test_a_map_is_a_table_and_a_second_call_makes_nothing(tmp_path):
    table = map_plane(PLANE, tmp_path)
    assert len(table) == 9 and (table["state"] == "done").all()
    np.testing.assert_allclose(table["product"], table["lr"] * table["weight_decay"], rtol=1e-8)
    assert (table["steps"] == 40).all()
    assert table["best_test_error"].between(0, 1).all()
    for row in table.itertuples():
        loaded = load(tmp_path / "cells" / row.identity)
        assert (loaded.run.lr, loaded.run.weight_decay) == (row.lr, row.weight_decay)
        assert row.best_test_error == pytest.approx(loaded.epochs["test_error"].min())
    before = made_runs(tmp_path)
    again = map_plane(PLANE, tmp_path, progress=lambda *_: pytest.fail("a run was made again"))
    pd.testing.assert_frame_equal(table, again)
    assert made_runs(tmp_path) == before
    kept = pd.read_parquet(tmp_path / "map.parquet")
    pd.testing.assert_frame_equal(kept, table, check_dtype=False)


@pytest.mark.slow
def test_a_finer_plane_takes_over_what_both_have(tmp_path):
    coarse = map_plane(
        {"lr": [0.1, 1.0], "weight_decay": [1e-3, 0.1], **SMALL}, tmp_path, workers=1
    )
    before = made_runs(tmp_path)
    seen = set()
    plane = plane_of({**PLANE, "lr": [0.1, 0.316, 1.0]})
    fine = Map(plane, tmp_path)
    assert len(fine.missing) == 9 - 4
    cells = list(fine.missing)
    fine.make(progress=lambda index, _: seen.add(cells[index].run.identity))
    after = made_runs(tmp_path)
    assert len(after) == 9 and all(after[name] == when for name, when in before.items())
    assert seen == set(after) - set(before)
    assert not fine.missing
    shared = fine.table().set_index("identity").loc[coarse["identity"], "best_test_error"]
    assert shared.tolist() == coarse["best_test_error"].tolist()


@pytest.mark.slow
def test_stages_are_told_and_what_was_interrupted_goes_on(tmp_path):
    tables = []
    made = Map(plane_of(PLANE), tmp_path)
    made.make(workers=1, staged=tables.append, should_stop=lambda: bool(tables))
    first = made.table()
    assert (tables[0]["state"] == "done").sum() == 1  # of nine, every fourth is one
    there = set(first.loc[first["state"] == "done", "identity"])
    assert 1 <= len(there) < 9
    before = {name: when for name, when in made_runs(tmp_path).items() if name in there}
    again = Map(plane_of(PLANE), tmp_path)
    assert len(again.missing) == 9 - len(there)
    again.make()
    assert (again.table()["state"] == "done").all()
    after = made_runs(tmp_path)
    assert all(after[name] == when for name, when in before.items())


@pytest.mark.slow
def test_a_cell_that_diverges_says_so(tmp_path):
    plane = {"lr": [0.1, 1e30], "weight_decay": [0.0, 1e-3], "norm": "none", **SMALL}
    table = map_plane(plane, tmp_path).set_index(["lr", "weight_decay"])
    wild = table.loc[(1e30, 0.0)]
    assert (wild["state"], wild["verdict"], wild["region"]) == ("done", "diverged", "diverged")
    assert "not finite" in wild["reason"] or "loss is" in wild["reason"]
    assert table.loc[(1e30, 1e-3), "region"] == "refused"  # ηλ is far above 1
    assert "below 1" in table.loc[(1e30, 1e-3), "reason"]
    assert table.loc[(0.1, 0.0), "state"] == "done"


def test_a_cell_that_can_never_be_made_is_not_tried(tmp_path):
    plane = plane_of({"batch_size": [64, 1_000], "lr": [0.1, 1.0], **SMALL})
    made = Map(plane, tmp_path)
    table = made.table().set_index(["batch_size", "lr"])
    assert (table.loc[1_000, "state"] == "refused").all() and len(made.missing) == 2
    assert "1,000 is more than the 256" in table.loc[(1_000, 0.1), "reason"]


@pytest.mark.slow
def test_a_cell_that_fails_does_not_take_the_others_along(tmp_path):
    plane = plane_of({"batch_size": [64, 255], "lr": [0.1, 1.0], **SMALL})
    told = []
    made = Map(plane, tmp_path)
    made.make(notice=told.append)
    table = made.table().set_index(["batch_size", "lr"])
    assert (table.loc[64, "state"] == "done").all()
    assert (table.loc[255, "state"] == "failed").all()
    assert "the last batch of an epoch has one image" in table.loc[(255, 0.1), "reason"]
    assert any("the last batch of an epoch has one image" in text for text in told)
    assert len(Map(plane, tmp_path).missing) == 2


def test_a_mistake_in_all_cells_is_the_mistake_and_leaves_nothing(tmp_path):
    plane = {**PLANE, "batch_size": 5_000}
    with pytest.raises(UserError, match="5,000 is more than the 256"):
        map_plane(plane, tmp_path / "map", workers=1)
    assert not (tmp_path / "map").exists()


@pytest.mark.slow
def test_a_damaged_cell_is_named(tmp_path):
    map_plane(PLANE, tmp_path)
    victim = sorted((tmp_path / "cells").iterdir())[0]
    next((victim / "steps").iterdir()).write_bytes(b"rubbish")
    made = Map(plane_of(PLANE), tmp_path)
    assert [cell.run.identity for cell in made.missing] == [victim.name]
    row = made.table().set_index("identity").loc[victim.name]
    assert row["state"] == "failed" and "is damaged" in row["reason"]


@pytest.mark.slow
def test_not_in_the_budget_is_what_the_cap_cut_off(tmp_path):
    table = map_plane({**PLANE, "lr": [1.0, 9.0], "weight_decay": [1e-3, 0.11]}, tmp_path, units=30)
    short = table["units"] < 30 * 0.99
    assert short.any() and not short.all()
    undecided = table["verdict"].isin(["converging", "equilibrium", "unknown"])
    assert ((table["region"] == "not in the budget") == (short & undecided)).all()
    assert (
        table.loc[~(short & undecided), "region"] == table["verdict"][~(short & undecided)]
    ).all()
