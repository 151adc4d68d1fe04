"""Records with few rows, or odd ones: every picture, page and table is made of them all the same.

A run has no row in its first seconds, one when its first loss was not finite, and columns of NaN
where something was not measured. None of that may cost a report, least of all that of its
neighbours.
"""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from limitcycle.cli.main import main
from limitcycle.errors import UserError
from limitcycle.lab import train
from limitcycle.reading import LABELS, diagnose
from limitcycle.record import EPOCH_COLUMNS, STEP_COLUMNS, Run
from limitcycle.record.folder import RunFolder
from limitcycle.record.schema import empty
from limitcycle.report import page, save_pictures, summarise, write_report
from limitcycle.report.legend import histories
from limitcycle.report.limits import aligned
from limitcycle.report.panels import CURVES, four_panels, panels_of
from limitcycle.report.period import most_telling, one_period
from tests.report.conftest import Double, sawtooth_table

AXES = ("steps", "epochs", "periods")
SMALL = Run(lr=0.3, weight_decay=0.005, steps=2_000)
ODD = (np.nan, np.inf, -np.inf, 0.0, -1.0, 1.0, 1e-38, 3e38)


@pytest.fixture(autouse=True)
def _without_plotly(monkeypatch):
    """Packing plotly's three megabytes is no part of what is tried."""
    monkeypatch.setattr(page, "packed_plotly", lambda: "")


@st.composite
def tables(draw, columns):
    """A table of a few rows: some columns are missing, some hold nothing but odd numbers."""
    rows = draw(st.sampled_from((0, 1, 2, 3, 5, 31)))
    steps = np.cumsum(draw(st.lists(st.integers(1, 40), min_size=rows, max_size=rows))) - 1
    kept = draw(st.sets(st.sampled_from(sorted(set(columns) - {"step"}))))
    noise = np.random.default_rng(draw(st.integers(0, 9)))
    frame = {
        "step": steps.astype(np.int64),
        **{name: np.exp(noise.normal(size=rows)) for name in kept},
    }
    if "epoch" in kept:
        frame["epoch"] = steps // 11
    for name in draw(st.sets(st.sampled_from(sorted(kept)))) if kept else ():
        known = ODD if name not in ("epoch", "lr", "weight_decay") else ODD[:6]
        odd = draw(st.lists(st.sampled_from(known), min_size=1, max_size=3))
        frame[name] = np.resize(odd, rows)
    return pd.DataFrame(frame)


@st.composite
def records(draw):
    """One to three runs: begun, finished, failed; of the lab and of others."""
    made = []
    for number in range(draw(st.integers(1, 3))):
        described = draw(st.sampled_from((None, SMALL, Run(momentum=0.9), Run(weight_decay=0.0))))
        steps = draw(tables(STEP_COLUMNS) | st.just(empty("steps")))
        if described is None or draw(st.booleans()):
            steps = steps.assign(**{n: 1.0 for n in ("loss", "norm") if n not in steps})
        epochs = draw(st.just(pd.DataFrame()) | st.just(empty("epochs")) | tables(EPOCH_COLUMNS))
        status = {"state": draw(st.sampled_from(("running", "stopped", "done", "failed")))}
        info = draw(st.sampled_from(({}, {"epoch_steps": 11, "train_size": 1408})))
        made.append(Double(f"run {number}", described, steps, epochs, status, info))
    return made


def page_or_refusal(runs, axis, folder):
    try:
        draw_all(runs, axis, folder)
    except UserError as refusal:
        assert len(str(refusal).splitlines()) == 1


def draw_all(runs, axis, folder):
    """Everything that a report draws and writes of ``runs``."""
    drawn = histories(runs)
    figures = [four_panels(drawn, axis), panels_of(drawn, tuple(CURVES), axis)]
    figures.append(one_period(drawn[most_telling(drawn)], axis))
    aligned([figure for figure in figures if figure is not None])
    assert len(summarise(runs)) == len(runs)
    write_report(runs, folder / "report.html", axis=axis)


QUICKLY = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    report_multiple_bugs=False,
    phases=(Phase.explicit, Phase.generate),  # what fails is small already
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.slow
@QUICKLY
@given(records(), st.sampled_from(AXES))
def test_every_page_is_made_of_any_records_or_refused_in_a_line(tmp_path_factory, runs, axis):
    page_or_refusal(runs, axis, tmp_path_factory.getbasetemp())


@pytest.mark.slow
@settings(QUICKLY, max_examples=100)
@given(records(), st.sampled_from(AXES))
def test_every_page_is_made_of_many_more_records(tmp_path_factory, runs, axis):
    page_or_refusal(runs, axis, tmp_path_factory.getbasetemp())


@pytest.mark.slow
@settings(QUICKLY, max_examples=20)
@given(records(), st.sampled_from(AXES))
def test_every_picture_is_painted_of_any_records(tmp_path_factory, runs, axis):
    try:
        save_pictures(runs, tmp_path_factory.getbasetemp() / "small.png", axis=axis)
    except UserError as refusal:
        assert len(str(refusal).splitlines()) == 1


@settings(QUICKLY, max_examples=40)
@given(tables(STEP_COLUMNS))
def test_every_table_is_judged_and_told_in_words(frame):
    frame = frame.assign(**{name: 1.0 for name in ("loss", "norm") if name not in frame})
    verdict = diagnose(frame)
    assert str(verdict) and verdict.headline
    assert verdict.label == "unknown" or len(frame) >= 30 or verdict.label == "diverged"


def left(folder, rows, state="stopped"):
    """A run's folder as the lab leaves it after so many rows, its first evaluation among them."""
    steps = sawtooth_table(rows=max(rows, 1)).head(rows)
    epochs = pd.DataFrame({name: [0.5] for name in EPOCH_COLUMNS}).assign(step=0).head(rows)
    with RunFolder(folder, SMALL, {"epoch_steps": 11, "train_size": 1408}) as opened:
        if rows:
            opened.save(rows, steps, epochs, {"weights": np.zeros(2)})
        opened.set_status(state, rows)
    return folder


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("rows", [0, 1, 2, 31])
def test_the_commands_take_a_run_of_few_rows(tmp_path, capsys, rows, axis):
    folder = str(left(tmp_path / "run", rows))
    assert main(["report", folder, "--axis", axis]) == 0
    assert main(["report", folder, "--axis", axis, "--out", str(tmp_path / "p.svg")]) == 0
    assert main(["diagnose", folder]) == 0
    capsys.readouterr()
    assert main(["diagnose", folder, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run"]["label"] in LABELS


@pytest.mark.parametrize("axis", AXES)
def test_a_run_that_has_only_begun_costs_its_neighbours_nothing(tmp_path, axis):
    grid = tmp_path / "grid"
    for name, rows in (("a", 0), ("b", 1), ("c", 700)):
        left(grid / name, rows)
    assert main(["report", str(grid), "--axis", axis]) == 0
    assert (grid / "report.html").read_text().count('class="run">') == 3


def test_a_run_stopped_before_its_first_step_is_shown(tmp_path):
    run = Run(lr=0.3, steps=2_000, width=8, train_size=64, test_size=16, batch_size=32)
    train(run, tmp_path / "run", stop_after=1e-9)
    for axis in AXES:
        assert main(["report", str(tmp_path / "run"), "--axis", axis]) == 0
