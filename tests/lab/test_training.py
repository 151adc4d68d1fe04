"""The loop: what a run records, how it stops, and what it says when it fails."""

import itertools
import json

import numpy as np
import pytest
import torch

from limitcycle.errors import RunError, UserError
from limitcycle.lab import Job, machine, member, rehearse, sweep, train
from limitcycle.lab.training import Alone
from limitcycle.record import EPOCH_COLUMNS, STEP_COLUMNS, Run, load

SMALL = {"width": 16, "train_size": 300, "test_size": 100}


def test_tables_have_a_row_a_step_and_a_row_an_epoch(tmp_path):
    run = train(Run(steps=10, **SMALL), tmp_path / "run")
    assert list(run.steps.columns) == [*STEP_COLUMNS, "momentum"]
    assert list(run.epochs.columns) == list(EPOCH_COLUMNS)
    assert run.steps["step"].tolist() == list(range(10))
    assert run.steps["epoch"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]
    assert run.epochs["step"].tolist() == [0, 3, 6, 9, 10]
    np.testing.assert_allclose(run.epochs["epoch"], [0, 1, 2, 3, 10 / 3], rtol=1e-6)
    assert run.status == {"state": "done", "step": 10, "reason": ""}
    assert run.epochs["test_error"].between(0, 1).all()


def test_running_means_are_those_of_the_steps(tmp_path):
    run = train(Run(steps=9, **SMALL), tmp_path / "run")
    second = run.steps[run.steps["epoch"] == 1]
    row = run.epochs[run.epochs["step"] == 6].iloc[0]
    assert row["train_loss"] == pytest.approx(second["loss"].mean(), rel=1e-6)
    assert row["effective_grad_norm"] == pytest.approx(
        second["effective_grad_norm"].mean(), rel=1e-6
    )
    assert np.isnan(run.epochs["train_loss"].iloc[0])
    assert run.epochs["confidence"].isna().all()


def test_additional_pass_measures_the_state_itself(tmp_path):
    """With one batch that is the whole set, the pass sees what the next step sees."""
    run = train(
        Run(steps=6, batch_size="full", eval_every=3, train_pass=True, **SMALL), tmp_path / "run"
    )
    at_three = run.epochs[run.epochs["step"] == 3].iloc[0]
    step = run.steps.iloc[3]
    assert at_three["train_loss"] == pytest.approx(step["loss"], rel=1e-5)
    assert at_three["effective_grad_norm"] == pytest.approx(step["effective_grad_norm"], rel=1e-5)
    assert at_three["norm"] == pytest.approx(step["norm"], rel=1e-9)
    assert 0.1 < at_three["confidence"] <= 1


def test_recording_interval_thins_the_table_and_changes_nothing(tmp_path):
    every = train(Run(steps=20, **SMALL), tmp_path / "a")
    seventh = train(Run(steps=20, **SMALL), tmp_path / "b", record_every=7)
    assert seventh.steps["step"].tolist() == [0, 7, 14]
    assert every.run.identity == seventh.run.identity
    assert every.epochs.equals(seventh.epochs)
    assert every.steps.iloc[[0, 7, 14]].reset_index(drop=True).equals(seventh.steps)


def test_stopping_and_going_on_changes_no_bit(tmp_path):
    run = Run(steps=60, momentum=0.9, **SMALL)
    whole = train(run, tmp_path / "whole")
    asked = itertools.count()
    stopped = train(run, tmp_path / "parts", should_stop=lambda: next(asked) >= 7)
    assert stopped.status["state"] == "stopped"
    assert 0 < stopped.status["step"] < 60
    parts = train(run, tmp_path / "parts")
    assert parts.steps.equals(whole.steps)
    assert parts.epochs.equals(whole.epochs)
    for name, array in whole.checkpoint().arrays.items():
        assert np.array_equal(array, parts.checkpoint().arrays[name])


def test_stop_after_leaves_a_run_to_go_on_with(tmp_path):
    run = Run(steps=1_000_000, **SMALL)
    stopped = train(run, tmp_path / "run", stop_after=0.3)
    assert stopped.status["state"] == "stopped"
    assert stopped.checkpoint().completed == stopped.status["step"] == len(stopped.steps)


def test_a_finished_run_returns_at_once(tmp_path, monkeypatch):
    train(Run(steps=3, **SMALL), tmp_path / "run")
    monkeypatch.setattr("limitcycle.lab.training.prepare", lambda *_: pytest.fail("began anew"))
    assert len(train(Run(steps=3, **SMALL), tmp_path / "run").steps) == 3


def test_non_finite_loss_ends_the_run_and_keeps_everything(tmp_path):
    """Without normalisation an absurd learning rate overflows within a few steps."""
    run = Run(steps=500, lr=1e30, weight_decay=0.0, norm="none", **SMALL)
    with pytest.raises(RunError, match=r"the loss is (nan|inf) at step \d+") as problem:
        train(run, tmp_path / "run")
    from limitcycle import load

    kept = load(tmp_path / "run")
    assert kept.status["state"] == "failed"
    last = kept.steps.iloc[-1]
    assert not np.isfinite(last["loss"])
    assert np.isfinite(kept.steps["loss"].iloc[:-1]).all()
    assert f"at step {int(last['step']):,}" in str(problem.value)
    with pytest.raises(RunError, match="at step"):
        train(run, tmp_path / "run")
    assert len(load(tmp_path / "run").steps) == len(kept.steps)


def test_a_run_starts_from_anothers_checkpoint(tmp_path):
    first = train(Run(steps=30, snapshot_every=10, **SMALL), tmp_path / "first")
    assert len(first.snapshots) == 3
    follower = Run(steps=2, seed=5, start_from=str(first.snapshots[0]), fixed_norm="start", **SMALL)
    second = train(follower, tmp_path / "second")
    assert second.steps["norm"].iloc[0] == pytest.approx(first.steps["norm"].iloc[10], rel=1e-9)
    wrong = Run(steps=2, width=8, train_size=300, start_from=str(first.snapshots[0]))
    with pytest.raises(UserError, match="another net's"):
        train(wrong, tmp_path / "third")


def test_identity_of_a_follower_depends_on_the_checkpoints_content(tmp_path):
    first = train(Run(steps=4, snapshot_every=2, **SMALL), tmp_path / "first")
    follower = Run(steps=2, start_from=str(first.snapshots[0]), **SMALL)
    train(follower, tmp_path / "second")
    first.snapshots[0].write_bytes(first.snapshots[1].read_bytes())
    with pytest.raises(UserError, match="start_from"):
        train(follower, tmp_path / "second")


def test_schedule_with_warmup(tmp_path):
    run = Run(steps=40, lr=1.0, weight_decay=1e-3, warmup_steps=10, schedule="cosine", **SMALL)
    lr = train(run, tmp_path / "run").steps["lr"].to_numpy()
    np.testing.assert_allclose(lr[:10], np.arange(1, 11) / 10, rtol=1e-6)
    assert lr[25] == pytest.approx(0.5)
    assert (np.diff(lr[10:]) < 0).all()


@pytest.mark.slow
def test_sweep_equals_single_runs(tmp_path):
    jobs = [Job(Run(steps=15, lr=lr, **SMALL), tmp_path / f"{lr}") for lr in (0.1, 1.0)]
    jobs.append(Job(Run(steps=15, lr=1e30, weight_decay=0, norm="none", **SMALL), tmp_path / "bad"))
    seen = set()
    outcomes = sweep(jobs, progress=lambda i, p: seen.add((i, p.total)))
    assert [outcome.state for outcome in outcomes] == ["done", "done", "failed"]
    assert outcomes[2].code == 1
    assert {(0, 15), (1, 15)} <= seen
    with_one_thread = train(jobs[1].run, tmp_path / "alone", threads=1)
    assert load(jobs[1].out).steps.equals(with_one_thread.steps)


def test_an_unknown_device_is_one_line(tmp_path):
    with pytest.raises(UserError, match="device 'gpu'"):
        train(Run(steps=1, **SMALL), tmp_path / "run", device="gpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_cuda_gives_what_the_cpu_gives(tmp_path):
    run = Run(steps=100, dtype="float64", **SMALL)
    there = train(run, tmp_path / "cuda", device="cuda")
    here = train(run, tmp_path / "cpu")
    np.testing.assert_allclose(there.steps["loss"], here.steps["loss"], rtol=1e-8)


def test_a_run_that_cannot_be_made_leaves_its_folder_free(tmp_path):
    out = tmp_path / "run"
    with pytest.raises(UserError, match="batch_size 5,000 is more than the 1,408"):
        train(Run(batch_size=5000, steps=3), out)
    with pytest.raises(UserError, match="memory"):
        train(Run(width=10**6, steps=3), out)
    assert len(train(Run(steps=3, width=8), out).steps) == 3


@pytest.mark.parametrize(
    "take",
    [
        lambda: torch.empty(2**60, dtype=torch.uint8),
        lambda: np.empty(2**60, np.uint8),
        lambda: bytearray(2**60),
    ],
    ids=["torch", "NumPy", "Python"],
)
@pytest.mark.parametrize("where", ["advance", "evaluate"])
def test_where_memory_ends_the_checkpoint_stays_and_the_run_goes_on(
    take, where, tmp_path, monkeypatch
):
    run, out = Run(steps=60, **SMALL), tmp_path / "run"
    compute, calls = getattr(Alone, where), itertools.count()

    def hungry(*args):
        if next(calls) == 5:
            take()
        return compute(*args)

    with monkeypatch.context() as patched:
        patched.setattr(Alone, where, hungry)
        with pytest.raises(RunError, match="out of memory at step") as raised:
            train(run, out, checkpoint_seconds=0)
    kept = load(out)
    assert f"the same command goes on from step {kept.checkpoint().completed:,}" in str(
        raised.value
    )
    assert kept.status["state"] == "failed"
    assert 0 < kept.checkpoint().completed < 60
    goes_on, alone = train(run, out), train(run, tmp_path / "alone")
    assert goes_on.steps.equals(alone.steps)
    assert goes_on.epochs.equals(alone.epochs)


def test_where_memory_ends_at_once_nothing_is_said_to_be_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(Alone, "advance", lambda *_: torch.empty(2**60, dtype=torch.uint8))
    with pytest.raises(RunError, match=r"at step 0: nothing is kept"):
        train(Run(steps=3, **SMALL), tmp_path / "run")


def test_memory_that_ends_at_the_last_write_or_at_the_first_read_is_one_line(tmp_path, monkeypatch):
    def hungry(*_args, **_settings):
        torch.empty(2**60, dtype=torch.uint8)

    run, out = Run(steps=6, **SMALL), tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(member, "to_arrays", hungry)
        with pytest.raises(RunError, match="out of memory at step 6: nothing is kept"):
            train(run, out)
    assert load(out).status["state"] == "failed"
    stopped = tmp_path / "stopped"
    answers = itertools.chain([False], itertools.repeat(True))
    train(Run(steps=10_000, **SMALL), stopped, should_stop=lambda: next(answers))
    with monkeypatch.context() as patched:
        patched.setattr(member, "from_arrays", hungry)
        with pytest.raises(UserError, match="do not fit into the memory of cpu"):
            train(Run(steps=10_000, **SMALL), stopped)
    assert load(stopped).checkpoint().completed > 0
    assert len(train(run, out).steps) == 6


@pytest.mark.parametrize(
    "said",
    [
        "[enforce fail at alloc_cpu.cpp:119] . DefaultCPUAllocator: can't allocate memory: you",
        "DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes.",
        "CUDA error: out of memory",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "unable to mmap 8 bytes from file <x>: Cannot allocate memory (12)",
        "could not create a memory object",
    ],
)
def test_who_says_that_memory_ended_is_understood(said):
    assert machine.out_of_memory(RuntimeError(said))
    assert not machine.out_of_memory(ValueError(said))


def test_other_errors_of_a_step_are_not_taken_for_memory(tmp_path, monkeypatch):
    def illegal(*_):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(Alone, "advance", illegal)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        train(Run(steps=3, **SMALL), tmp_path / "run")


@pytest.mark.parametrize("settings", [{"record_every": 0}, {"stop_after": float("nan")}])
def test_senseless_settings_are_refused(settings, tmp_path):
    with pytest.raises(UserError, match=next(iter(settings))):
        train(Run(steps=3), tmp_path / "run", **settings)


def test_threads_beyond_reason_are_refused(tmp_path):
    with pytest.raises(UserError, match="threads must be a whole number from 1 to 1,024"):
        train(Run(steps=3), tmp_path / "run", threads=100_000)


def test_seconds_add_up_over_interruptions(tmp_path):
    run = Run(steps=200, width=8)
    answers = itertools.chain([False], itertools.repeat(True))
    train(run, tmp_path / "run", should_stop=lambda: next(answers))
    (tmp_path / "run" / "timing.json").write_text(
        '{"seconds": {"training": 1000.0, "evaluation": 0, "recording": 0}, "steps": 1}'
    )
    train(run, tmp_path / "run")
    timing = json.loads((tmp_path / "run" / "timing.json").read_text())
    assert timing["seconds"]["training"] > 1000


def test_what_one_job_raises_does_not_take_the_others_along(tmp_path):
    jobs = [Job(Run(steps=3, width=8), tmp_path / name) for name in "ab"]
    (tmp_path / "a").write_text("a file in the way")
    outcomes = sweep(jobs)
    assert [outcome.state for outcome in outcomes] == ["failed", "done"]


@pytest.mark.slow
def test_a_rehearsal_makes_three_real_steps(tmp_path):
    (done,) = rehearse([Run(width=16, steps=10_000, start_from="not there yet")], tmp_path / "runs")
    assert len(done.losses) == 3
    assert np.isfinite(done.losses).all()
    assert done.step_seconds > 0
    assert done.peak_mib > 50
    assert not (tmp_path / "runs").exists()
