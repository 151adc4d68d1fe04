"""Where the rows go: the lab's format, functions, jobs that go on, sinks that fail."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

import limitcycle as lc
from limitcycle.cli.main import main
from limitcycle.errors import UserError
from limitcycle.record import GROUP_COLUMNS, STEP_COLUMNS
from tests.watching import loops


def train(sink, steps, model=None, optimizer=None, state=None, first=0):
    """Steps ``first`` … ``steps`` − 1 of a job under watch; what the job goes on with."""
    model = model or loops.net()
    optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.01)
    w = lc.watch(model, optimizer, sink=sink, quiet=True)
    if state is not None:
        w.load_state_dict(state)
    for step in range(first, steps):
        w.log(loss=loops.plain_step(model, optimizer, step))
    return w, model, optimizer


def test_a_watched_folder_is_read_like_a_run_of_the_lab(tmp_path, capsys):
    w, _, _ = train(tmp_path / "run", 40)
    w.close()
    run = lc.load(tmp_path / "run")
    assert run.run is None and run.status["state"] == "done"
    assert set(STEP_COLUMNS) - {"epoch"} <= set(run.steps.columns)
    assert set(GROUP_COLUMNS) - {"momentum", "second_moment_lag"} <= set(run.groups.columns)
    assert run.steps["norm"].dtype == np.float64 and run.steps["loss"].dtype == np.float32
    np.testing.assert_allclose(run.steps["norm"], w.steps["norm"])
    assert run.groups["group"].nunique() == 3
    names = {name for group in w.symmetries.groups for name in group.names}
    stored = json.loads((tmp_path / "run" / "symmetries.json").read_text())
    assert {name for group in stored["groups"] for name in group["names"]} == names
    assert main(["diagnose", str(tmp_path / "run")]) == 0
    assert "run: " in capsys.readouterr().out
    assert main(["report", str(tmp_path / "run"), "--out", str(tmp_path / "r.png")]) == 0
    assert (tmp_path / "r.png").stat().st_size > 10_000


def test_a_resumed_job_continues_its_folder(tmp_path):
    """The job saves at step 6, dies at 10, and makes steps 6 to 9 again."""
    w, model, optimizer = train(tmp_path / "run", 6)
    state, weights = w.state_dict(), {k: v.clone() for k, v in model.state_dict().items()}
    for step in range(6, 10):
        w.log(loss=loops.plain_step(model, optimizer, step))
    w.close("failed", "killed")
    whole, _, _ = train(None, 14)
    model.load_state_dict(weights)
    again, _, _ = train(tmp_path / "run", 14, model, optimizer, state, first=6)
    assert again.symmetries == w.symmetries
    again.close()
    run = lc.load(tmp_path / "run")
    for steps in (run.steps, again.steps):
        assert list(steps["step"]) == list(range(14))
        np.testing.assert_allclose(steps["norm"], whole.steps["norm"], rtol=1e-12)
        np.testing.assert_allclose(steps["loss"], whole.steps["loss"], rtol=1e-6)
    whole.close()


def test_a_saved_state_is_not_ahead_of_the_folder(tmp_path):
    """Whoever is killed after saving finds every row before that step."""
    w, _, _ = train(tmp_path / "run", 6)
    assert w.state_dict()["step"] == 6
    kept = lc.load(tmp_path / "run").steps  # as the next process would find it
    np.testing.assert_array_equal(kept["step"], np.arange(6))
    assert np.isfinite(kept["loss"]).all()
    w.close()


def test_without_a_state_a_used_folder_is_gone_on_with_and_that_is_said(tmp_path, capsys):
    train(tmp_path / "run", 5)[0].close()
    w, _, _ = train(tmp_path / "run", 3)
    w.close()
    assert "holds steps up to 4" in capsys.readouterr().err
    assert list(lc.load(tmp_path / "run").steps["step"]) == list(range(8))


def test_an_error_in_the_loop_is_kept_as_the_reason(tmp_path):
    model = loops.net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with (
        pytest.raises(ZeroDivisionError),
        lc.watch(model, optimizer, sink=tmp_path / "run", quiet=True) as w,
    ):
        w.log(loss=loops.plain_step(model, optimizer, 0))
        raise ZeroDivisionError("division by zero")
    status = lc.load(tmp_path / "run").status
    assert (status["state"], status["step"]) == ("failed", 1)
    assert "ZeroDivisionError" in status["reason"]
    assert not model._forward_pre_hooks and not optimizer._optimizer_step_pre_hooks


def test_a_run_of_the_lab_is_not_watched_into(tmp_path):
    lc.train(lc.Run(width=8, train_size=64, batch_size=32, test_size=20, steps=4), tmp_path / "run")
    with pytest.raises(UserError, match="holds a run of the lab"):
        train(tmp_path / "run", 1)


def test_a_folder_that_an_earlier_watch_holds_is_named(tmp_path):
    """A cell of a notebook that is run again."""
    w, _, _ = train(tmp_path / "run", 2)
    with pytest.raises(UserError, match=r"an earlier watch of this process still writes into"):
        train(tmp_path / "run", 2)
    w.close()
    train(tmp_path / "run", 2)[0].close()
    assert len(lc.load(tmp_path / "run").steps) == 4


def test_functions_get_the_new_rows_and_one_that_fails_is_left_out(capsys):
    seen, failures = [], []

    def collect(steps, groups):
        seen.append((steps, groups))

    def fails(steps, groups):
        failures.append(len(steps))
        raise KeyError("no such run")

    w, model, optimizer = train([fails, collect], 3)
    assert len(w.steps) == 3  # reads, and so hands on
    w.log(loss=loops.plain_step(model, optimizer, 3))
    w.close()
    assert pd.concat([steps for steps, _ in seen])["step"].to_list() == [0, 1, 2, 3]
    assert all(len(groups) == 3 * len(steps) for steps, groups in seen)
    assert failures == [3]
    assert "a sink failed (KeyError: 'no such run') and is left out" in capsys.readouterr().err


def test_what_is_not_decayed_is_left_out_of_the_judgement_but_not_of_the_table(tmp_path, capsys):
    model = loops.net()
    some = {"params": [model.one.weight], "weight_decay": 0.2}
    optimizer = torch.optim.SGD([some, {"params": [model.two.weight]}], lr=0.1)
    w, _, _ = train(tmp_path / "run", 40, model, optimizer)
    w.close()
    one = w.groups[w.groups["group"] == "one.weight"].set_index("step")
    both = w.groups[w.groups["group"] != "other"].groupby("step")["norm"]
    np.testing.assert_allclose(w.steps["norm"], np.sqrt(both.agg(lambda norm: (norm**2).sum())))
    said = w.diagnosis()
    expected = one["effective_lr"].min(), one["effective_lr"].max()
    assert said.effective_lr == pytest.approx(expected)
    assert "judged by the 1 of 2 scale-invariant groups that weight decay shrinks" in str(said)
    assert main(["diagnose", str(tmp_path / "run")]) == 0
    assert str(said) in capsys.readouterr().out
