"""Compiled steps: what is traced is the engine's step, what is compiled is what was traced."""

import dataclasses
import subprocess
import sys
from functools import partial

import pytest
import torch

from limitcycle.lab import compiled, sweep, train
from limitcycle.lab.compiled import CannotCompileError, examples, worth_compiling
from limitcycle.lab.compiler import traced
from limitcycle.lab.engine import step
from limitcycle.lab.parallel import Job
from limitcycle.lab.setup import prepare
from limitcycle.lab.together import most_together
from limitcycle.record import Run, load
from limitcycle.symmetry import fingerprint

CPU = torch.device("cpu")
BASE = Run(
    lr=0.3, weight_decay=1e-3, width=8, steps=40, train_size=100, batch_size=50, dtype="float64"
)


def like(**settings):
    return dataclasses.replace(BASE, **settings)


CASES = {
    "sgd, a smaller last batch": like(batch_size=32),
    "momentum": like(momentum=0.9),
    "a held norm": like(fixed_norm="start"),
    "full batch, affine, trained head": like(batch_size=None, norm="batch-affine", train_head=True),
    "LayerNorm": like(norm="layer"),
    "GroupNorm": like(norm="group"),
    "none": like(norm="none"),
    "a ConvNet": like(net="convnet", batch_size=20),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_traced_is_the_step(case):
    run = CASES[case]
    setup = prepare(run, CPU)
    one = partial(step, setup.net)
    for example in examples(run, setup):
        graph, said = traced(one, example)
        moved = {**example.state, "weights": example.state["weights"] * 1.7}
        rate = {**example.hyper, "lr": torch.tensor(0.05, dtype=torch.float64)}
        other = example._replace(state=moved, hyper=rate)  # than those it was traced with
        made = graph(*other.flat())
        following, row = one(*other)
        assert list(row) == said["row"] and "weights" in said["moving"]
        expected = [*(following[name] for name in said["moving"]), *row.values()]
        for found, wanted in zip(made, expected, strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


def test_batches_of_an_epoch_have_an_example_each():
    run = CASES["sgd, a smaller last batch"]
    assert [len(each.batch[1]) for each in examples(run, prepare(run, CPU))] == [32, 4]
    assert len(examples(BASE, prepare(BASE, CPU))) == 1


def test_a_step_with_tensors_of_its_own_is_not_compiled():
    setup = prepare(BASE, CPU)
    hidden = torch.ones(1, dtype=torch.float64)

    def one(state, batch, hyper):
        following, row = step(setup.net, state, batch, hyper)
        return following, {**row, "loss": row["loss"] * hidden.sum()}

    with pytest.raises(ValueError, match="tensors of its own"):
        traced(one, examples(BASE, setup)[0])


def test_kinds_of_runs_that_make_many_updates_are_worth_it(monkeypatch):
    monkeypatch.delenv("LIMITCYCLE_COMPILE")
    many = [like(steps=6_500, seed=seed, lr=0.1 * (seed + 1)) for seed in range(4)]
    few = [like(steps=6_500, width=9, seed=seed) for seed in range(3)]
    assert worth_compiling([*many, *few]) == {run.identity for run in many}
    assert worth_compiling(many[1:]) == frozenset()
    epochs = like(steps=None, epochs=7_000, batch_size=25)  # four batches each
    assert worth_compiling([epochs]) == {epochs.identity}
    whole = Run(lr=1.0, weight_decay=1e-3, steps=5_000, batch_size=None)  # batches of 1,437
    assert worth_compiling([whole]) == {whole.identity}
    assert worth_compiling([dataclasses.replace(whole, batch_size=128)]) == frozenset()
    assert most_together(64 * [many[0]], "cpu", 2) == 1
    assert most_together(64 * [many[0]], "cpu", 2, compile=False) == 32


def named(run):
    setup = prepare(run, CPU)
    return compiled._name(fingerprint(setup.net.net), setup, examples(run, setup)[0])


def test_the_name_tells_apart_all_that_the_machine_code_hangs_on(monkeypatch):
    runs = [BASE, *CASES.values(), like(dtype="float32"), like(width=9)]
    names = [named(run) for run in runs]
    assert len(set(names)) == len(names)
    assert named(BASE) == named(like(lr=1.0, weight_decay=0.1, seed=3, steps=7))
    monkeypatch.setattr(compiled, "_processor", lambda: "another")
    assert named(BASE) != names[0]


class Pretended:
    """A compiler that makes what is asked for by tracing alone."""

    def __init__(self, problem=None):
        self.problem, self.asked = problem, []

    def __call__(self, run, names, folder, should_stop):
        self.asked.append(names)
        if self.problem:
            raise CannotCompileError(self.problem)


def test_without_a_compiler_a_run_is_made_eagerly_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMITCYCLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(compiled, "_run_compiler", Pretended("no compiler"))
    said = []
    run = train(BASE, tmp_path / "asked", compile=True, notice=said.append)
    assert said[-1] == "the step cannot be compiled (no compiler): the run takes longer"
    assert run.info["engine"] == "eager"
    plain = train(BASE, tmp_path / "plain")
    assert plain.info["engine"] == "eager" and plain.steps.equals(run.steps)


def test_what_has_failed_is_not_tried_again_by_every_run(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMITCYCLE_CACHE", str(tmp_path / "cache"))
    pretended = Pretended("no headers")
    monkeypatch.setattr(compiled, "_run_compiler", pretended)
    for at in range(3):
        said = []
        train(like(steps=2), tmp_path / str(at), compile=True, notice=said.append)
        assert said[-1] == "the step cannot be compiled (no headers): the run takes longer"
    assert len(pretended.asked) == 1
    monkeypatch.setattr(compiled, "_REMEMBERED_SECONDS", 0.0)
    train(like(steps=2), tmp_path / "later", compile=True)
    assert len(pretended.asked) == 2


def test_a_run_told_to_stop_while_it_is_compiled_begins_anew(tmp_path, monkeypatch):
    started = []
    popen = compiled.subprocess.Popen

    def watched(*arguments, **settings):
        started.append(popen(*arguments, **settings))
        return started[-1]

    monkeypatch.setattr(compiled.subprocess, "Popen", watched)
    monkeypatch.setenv("LIMITCYCLE_CACHE", str(tmp_path / "cache"))
    stopped = train(BASE, tmp_path / "run", compile=True, should_stop=lambda: bool(started))
    assert stopped.status["state"] == "stopped" and stopped.status["step"] == 0
    assert "engine" not in stopped.info
    assert started[0].returncode is not None  # nothing is left behind


def test_threads_and_nets_that_do_not_pay_are_left_alone(tmp_path, monkeypatch):
    pretended = Pretended()
    monkeypatch.setattr(compiled, "_run_compiler", pretended)
    conv = like(net="convnet", steps=2, width=2)
    assert train(conv, tmp_path / "conv", compile=True).info["engine"] == "eager"
    assert train(like(steps=2), tmp_path / "short").info["engine"] == "eager"
    assert train(like(steps=2), tmp_path / "off", compile=False).info["engine"] == "eager"
    assert not pretended.asked


def test_of_many_jobs_those_are_compiled_that_are_worth_it(tmp_path, monkeypatch):
    monkeypatch.delenv("LIMITCYCLE_COMPILE")
    asked = {}
    monkeypatch.setattr(
        "limitcycle.lab.parallel.Task", lambda _, given: asked.update({given[0][0].run: given[1]})
    )

    class NoPool:
        busy = False

        def __init__(self, *_):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    monkeypatch.setattr("limitcycle.lab.parallel.Pool", NoPool)
    runs = [like(seed=seed) for seed in range(2)]
    long = [like(seed=9, steps=30_000)]
    for among, settings, expected in (
        (None, {}, None),
        ([*runs, *long], {}, True),
        ([*runs, *long], {"compile": False}, False),
    ):
        with pytest.raises(KeyError):  # nothing was made
            sweep(
                [Job(run, tmp_path / str(run.seed)) for run in runs],
                workers=1,
                settings=settings,
                among=among,
            )
        assert {given.get("compile") for given in asked.values()} == {expected}


# With the compiler itself.


@pytest.mark.slow
def test_a_grid_that_is_long_enough_is_compiled_from_the_command_line(tmp_path, monkeypatch):
    monkeypatch.delenv("LIMITCYCLE_COMPILE")
    small = ["--width", "8", "--train-size", "64", "--batch-size", "32", "--steps", "15000"]
    command = [sys.executable, "-m", "limitcycle", "train", "--lr", "0.1", "0.3", *small]
    done = subprocess.run(
        [*command, "--out", str(tmp_path)], capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stderr
    engines = {load(tmp_path / name).info["engine"] for name in ("lr=0.1", "lr=0.3")}
    assert engines == {"compiled"}, done.stderr
    assert done.stderr.count("compiling the step") == 1  # the other one waited


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run in float64, eager and compiled, and what was said."""
    folder, said = tmp_path_factory.mktemp("made"), []
    calm = {"lr": 0.01, "width": 32, "train_size": 316}  # where rounding does not grow
    run = like(steps=200, batch_size=100, **calm)
    eager = train(run, folder / "eager", threads=1, compile=False)
    whole = train(run, folder / "whole", threads=1, compile=True, notice=said.append)
    return run, eager, whole, said, folder


@pytest.mark.slow
def test_compiled_steps_are_the_eager_ones(made):
    _, eager, whole, said, _ = made
    assert whole.info["engine"] == "compiled", said
    assert "compiling the step" in said[-1]
    assert list(whole.steps) == list(eager.steps)
    for name in eager.steps:
        assert whole.steps[name].to_numpy() == pytest.approx(
            eager.steps[name].to_numpy(), rel=1e-9, abs=1e-12
        )


@pytest.mark.slow
def test_a_compiled_run_that_was_stopped_ends_in_the_same_bits(made):
    run, _, whole, _, folder = made
    times = iter([False, False, True])
    stopped = train(
        run, folder / "parts", threads=1, compile=True, should_stop=lambda: next(times, True)
    )
    assert 0 < stopped.status["step"] < 200
    said = []
    parts = train(run, folder / "parts", threads=1, notice=said.append)  # its engine is known
    assert parts.info["engine"] == "compiled" and not any("compil" in line for line in said)
    assert parts.steps.equals(whole.steps) and parts.epochs.equals(whole.epochs)


@pytest.mark.slow
def test_a_compiled_run_may_go_on_eagerly_and_says_so(made):
    run, _, whole, _, folder = made
    times = iter([False, False, True])
    train(run, folder / "other", threads=1, compile=True, should_stop=lambda: next(times, True))
    said = []
    other = train(run, folder / "other", threads=1, compile=False, notice=said.append)
    assert "it is computed eagerly" in said[-1]
    assert load(folder / "other").info["engine"] == "eager"
    assert other.steps["loss"].to_numpy() == pytest.approx(whole.steps["loss"].to_numpy(), rel=1e-9)


@pytest.mark.slow
def test_a_cache_that_cannot_be_written_costs_time(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LIMITCYCLE_CACHE", str(tmp_path / "file"))
    run = train(like(steps=5), tmp_path / "run", threads=1, compile=True)
    assert run.info["engine"] == "compiled"


@pytest.mark.slow
def test_a_compiler_that_fails_is_said_in_a_line(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMITCYCLE_CACHE", str(tmp_path / "cache"))
    broken = tmp_path / "g++"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    said = []
    run = train(like(steps=5), tmp_path / "run", compile=True, notice=said.append)
    assert run.info["engine"] == "eager"
    assert said[-1].startswith("the step cannot be compiled (") and "\n" not in said[-1]


def test_a_machine_without_a_compiler_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMITCYCLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    said = []
    run = train(like(steps=5), tmp_path / "run", compile=True, notice=said.append)
    assert run.info["engine"] == "eager"
    assert "(there is no C++ compiler: g++)" in said[-1]
