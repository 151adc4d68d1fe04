"""W&B's offline files hold what was measured, and every row that the user logged herself."""

import math

import pandas as pd
import pytest

from limitcycle.cli.main import main
from limitcycle.errors import UserError
from limitcycle.watching import WandB
from limitcycle.watching.loggers.curves import curve
from tests.watching.loggers import offline
from tests.watching.loggers.jobs import HAND_OVER, expected, train

wandb = pytest.importorskip("wandb")
STEP = "limitcycle/step"


@pytest.fixture(scope="module", autouse=True)
def _service():
    yield
    wandb.teardown()


def options(folder):
    quiet = wandb.Settings(console="off", silent=True, x_disable_stats=True)
    return {"mode": "offline", "dir": str(folder), "project": "tests", "settings": quiet}


def assert_rows(found, w, steps=None):
    """The rows with a step of ours hold what was measured there, whatever stands beside it."""
    ours = [row for row in found.rows if STEP in row]
    assert [row[STEP] for row in ours] == list(w.steps["step"] if steps is None else steps)
    wanted = expected(w)
    for row in ours:
        here = {name: values[row[STEP]] for name, values in wanted.items() if row[STEP] in values}
        assert {name for name in row if name.startswith("limitcycle")} == {STEP, *here}
        assert {name: row[name] for name in here} == pytest.approx(here, rel=1e-12, nan_ok=True)
    assert all(found.axes.get(name, STEP) == STEP for name in wanted)


@pytest.fixture(scope="module")
def hers(tmp_path_factory):
    """A user logs each step with a step of her own, and goes on when the watch has ended."""
    folder = tmp_path_factory.mktemp("hers")
    run = wandb.init(**options(folder))
    run.define_metric("*", step_metric="train/global_step")  # as the Transformers trainer does
    w = train(WandB(), meanwhile=lambda step: run.log({"mine": float(step)}, step=step))
    run.log({"mine": -1.0}, step=20)
    run.finish()
    return offline.read(folder), w


def test_no_row_of_the_user_is_dropped_or_moved(hers):
    found, _ = hers
    mine = {row["_step"]: row["mine"] for row in found.rows}
    assert mine == {**{step: float(step) for step in range(20)}, 20: -1.0}


def test_the_newest_rows_join_hers(hers):
    found, w = hers
    assert_rows(found, w, steps=[5, 11, 17, 19])
    assert {found.axes[name] for name in (curve("norm"), "limitcycle_norm/*")} == {STEP}


def test_settings_and_diagnosis_are_in_config_and_summary(hers):
    found, w = hers
    told = found.config["limitcycle"]
    assert (told["optimizer"], told["lr"], told["every"]) == ("SGD", 0.1, 1)
    assert told["symmetries"] == str(w.symmetries)
    assert found.summary["limitcycle/diagnosis"] == str(w.diagnosis())
    assert found.summary["limitcycle/label"] == w.diagnosis().label
    assert found.summary["limitcycle/status"] == "done"


def test_a_run_of_its_own_has_every_row_and_is_finished(tmp_path, capsys):
    w = train(WandB(**options(tmp_path)))
    assert wandb.run is None
    found = offline.read(tmp_path)
    assert_rows(found, w)
    assert found.exit_code == 0
    pd.DataFrame(found.rows).assign(_timestamp=0.0).to_csv(tmp_path / "history.csv")
    assert main(["diagnose", str(tmp_path / "history.csv")]) == 0
    said = capsys.readouterr()
    assert f": {w.diagnosis().label}" in said.out
    assert f"step = '{STEP}', loss = 'limitcycle/loss', norm = 'limitcycle/norm'" in said.err


@pytest.mark.slow
def test_in_a_run_to_which_the_user_logs_nothing_all_rows_are_logged_at_the_end(tmp_path):
    with wandb.init(**options(tmp_path)) as run:
        w = train(run)  # a run is a sink as it is
        run.log({"test": 1.0})
    assert_rows(offline.read(tmp_path), w)


@pytest.mark.slow
def test_a_user_who_counts_epochs_loses_none(tmp_path):
    def epoch(step):
        if step % 5 == 4:
            run.log({"mine": 1.0}, step=step // 5)

    with wandb.init(**options(tmp_path)) as run:
        train(WandB(run), meanwhile=epoch)
    found = offline.read(tmp_path)
    assert [row["_step"] for row in found.rows if "mine" in row] == [0, 1, 2, 3]


@pytest.mark.slow
def test_rows_are_logged_at_once_where_that_is_asked_for(tmp_path):
    with wandb.init(**options(tmp_path)) as run:
        w = train(WandB(run, commit=True), meanwhile=lambda step: run.log({"mine": float(step)}))
    found = offline.read(tmp_path)
    assert_rows(found, w)
    assert [row["mine"] for row in found.rows if "mine" in row] == list(range(20))
    first = next(row for row in found.rows if STEP in row)
    assert first["_step"] <= HAND_OVER


@pytest.mark.slow
def test_a_failed_training_is_a_failed_run(tmp_path):
    def fails(step):
        if step == 7:
            raise KeyError("label")

    with pytest.raises(KeyError):
        train(WandB(**options(tmp_path)), meanwhile=fails)
    found = offline.read(tmp_path)
    assert found.exit_code == 1 and len(found.rows) == 8
    assert found.summary["limitcycle/status"] == "failed KeyError: 'label'"


@pytest.mark.slow
def test_a_run_that_the_user_finished_early_is_left_out(tmp_path, capsys):
    run = wandb.init(**options(tmp_path))
    w = train(WandB(run), meanwhile=lambda step: run.finish() if step == 8 else None)
    assert len(w.steps) == 20
    assert "is left out; the training goes on" in capsys.readouterr().err


def test_a_run_and_options_for_another_are_refused():
    with pytest.raises(UserError, match=r"run is what wandb\.init returns, not str"):
        WandB("mine/1abc")
    with pytest.raises(UserError, match=r"project: for wandb\.init, but a run is given"):
        WandB(type("Run", (), {"define_metric": math.nan})(), project="mine")
