"""Figures that are made at once are those that are made one after the other."""

import pytest

from limitcycle.paper import Plan, experiments, make_entries, make_entry
from limitcycle.paper.scale import QUICK

THEORY = (7, 8)  # they need no runs


@pytest.mark.slow
def test_at_once_or_one_after_the_other_the_files_are_the_same(tmp_path):
    plans = [Plan(figure, QUICK, tmp_path / "runs") for figure in experiments(THEORY)]
    together = list(make_entries(plans, tmp_path / "together", 2))
    assert [entry["number"] for entry in together] == list(THEORY)
    assert together == [make_entry(plan, tmp_path / "alone") for plan in plans]
    files = sorted(path.name for path in (tmp_path / "alone").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "together").iterdir())
    assert all(
        (tmp_path / "alone" / name).read_bytes() == (tmp_path / "together" / name).read_bytes()
        for name in files
    )


def test_one_worker_is_this_process(tmp_path, monkeypatch):
    monkeypatch.setattr("limitcycle.paper.parallel.make_entry", lambda *_: {"here": True})
    plans = [Plan(figure, QUICK, tmp_path / "runs") for figure in experiments(THEORY)]
    assert list(make_entries(plans, tmp_path, 1)) == [{"here": True}] * 2
