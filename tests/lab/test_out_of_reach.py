"""What a machine refuses costs as little as it must: a cache time, a read-only disk nothing."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from limitcycle.cli.main import main
from limitcycle.errors import UserError
from limitcycle.lab import cache, sweep, train
from limitcycle.lab.cache import cached
from limitcycle.lab.data import load_dataset
from limitcycle.lab.how import How
from limitcycle.lab.parallel import Job
from limitcycle.lab.setup import find_symmetries
from limitcycle.lab.sources import load_images
from limitcycle.lab.together import train_together
from limitcycle.record import Run
from tests.lab.test_data import small_cifar  # noqa: F401 - a fixture

NOBODY = 65_534
RUN = Run(net="mlp", width=8, steps=20)


@pytest.fixture
def public():
    """A folder that every user can reach; pytest's own are their owner's alone."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    for path in (folder, *folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    shutil.rmtree(folder)


@contextlib.contextmanager
def nobody():
    """Inside, permissions count: they do not stop root. Modules must have been imported before."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def make_read_only(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)


def no_home(monkeypatch):
    def unknown():
        raise RuntimeError("Could not determine home directory.")

    for name in ("HOME", "XDG_CACHE_HOME", "LIMITCYCLE_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", unknown)


def full_disk(monkeypatch):
    def full(_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)


CACHES = {
    "read-only": lambda folder, _: folder.chmod(0o555),
    "cannot be entered": lambda folder, _: folder.chmod(0o000),
    "a file": lambda folder, _: (folder.rmdir(), folder.write_text("")),
    "a link to nothing": lambda folder, _: (folder.rmdir(), folder.symlink_to("nothing")),
    "no home": lambda _, monkeypatch: no_home(monkeypatch),
    "full disk": lambda _, monkeypatch: full_disk(monkeypatch),
    "no such name": lambda _, patch: patch.setenv("LIMITCYCLE_CACHE", "/" + "x" * 5_000),
}


@pytest.mark.parametrize("kind", CACHES)
def test_a_cache_that_cannot_be_used_costs_time_not_the_run(kind, public, monkeypatch):
    folder = public / "cache"
    folder.mkdir()
    monkeypatch.setenv("LIMITCYCLE_CACHE", str(folder))
    CACHES[kind](folder, monkeypatch)
    made = []

    def make():
        made.append(1)
        return "made"

    def write(path, content):
        with path.open("w") as file:
            file.write(content)
            os.fsync(file.fileno())

    with nobody():
        for _ in range(2):
            assert cached("a/b", make, Path.read_text, write) == "made"
    assert made


def test_damaged_symmetries_are_found_again(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMITCYCLE_CACHE", str(tmp_path))
    run = Run(net="mlp", width=4, depth=1)
    data = load_dataset(run, torch.device("cpu"))
    found, asked = find_symmetries(run, data), []
    monkeypatch.setattr("limitcycle.lab.setup.symmetries", lambda *_: asked.append(1) or found)
    assert find_symmetries(run, data) == found and not asked
    (file,) = tmp_path.rglob("*.json")
    for content in ("", "{", "[]", "3", '{"groups": 3}', '{"groups": [3]}', "[" * 9_999):
        file.write_text(content)
        assert find_symmetries(run, data) == found
        assert asked.pop()
        assert find_symmetries(run, data) == found and not asked  # kept again


@pytest.mark.parametrize("kind", ["read-only", "cannot be entered", "no home"])
def test_cifar_is_decoded_where_the_cache_cannot_be_used(
    kind,
    small_cifar,  # noqa: F811
    public,
    monkeypatch,
):
    first = load_images("cifar10")
    data, folder = public / "data", public / "cache"
    shutil.copytree(small_cifar.parent, data)
    folder.mkdir()
    monkeypatch.setenv("LIMITCYCLE_DATA", str(data))
    monkeypatch.setenv("LIMITCYCLE_CACHE", str(folder))
    monkeypatch.delenv("HF_DATASETS_CACHE")
    CACHES[kind](folder, monkeypatch)
    with nobody():
        assert np.array_equal(load_images("cifar10").train_images, first.train_images)


def test_an_image_folder_with_a_link_to_nothing_is_one_line(small_cifar):  # noqa: F811
    (small_cifar / "train-00001.parquet").symlink_to("nothing")
    with pytest.raises(UserError, match="cannot be read") as problem:
        load_images("cifar10")
    assert "\n" not in str(problem.value)


def test_the_command_of_a_finished_run_says_done_on_a_read_only_disk(public, capsys):
    out = public / "run"
    command = ["train", "--width", "8", "--steps", "20", "--threads", "1", "--out", str(out)]
    assert main(command) == 0
    capsys.readouterr()
    make_read_only(out)
    with nobody():
        assert main(command) == 0
        assert "done" in capsys.readouterr().err
        # What is not finished, or another's, is refused as before.
        assert main([*command[:-2], "--lr", "0.2", *command[-2:]]) == 2
        assert "another run" in capsys.readouterr().err


def test_runs_that_are_finished_need_no_writing_together_either(public):
    outs = [public / "a", public / "b"]
    runs = [RUN, Run(net="mlp", width=8, steps=20, lr=0.2)]
    first = train_together(runs, outs, How(threads=1))
    make_read_only(public)
    with nobody():
        again = train_together(runs, outs, How(threads=1))
    assert [run.status["state"] for run in again] == ["done", "done"]
    assert all(one.steps.equals(two.steps) for one, two in zip(first, again, strict=True))


def test_an_unfinished_run_on_a_read_only_disk_is_one_line(public):
    out = public / "run"
    train(RUN, out, threads=1, should_stop=lambda: True)
    make_read_only(out)
    with nobody(), pytest.raises(UserError, match="cannot write") as problem:
        train(RUN, out, threads=1)
    assert "\n" not in str(problem.value)


def test_a_finished_run_that_lacks_rows_is_not_done(tmp_path, capsys):
    out = tmp_path / "run"
    command = ["train", "--width", "8", "--steps", "20", "--threads", "1", "--out", str(out)]
    assert main(command) == 0
    capsys.readouterr()
    (part,) = (out / "steps").iterdir()
    part.unlink()
    for each in (command, ["diagnose", str(out)], ["report", str(out)]):
        assert main(each) == 2
        said = capsys.readouterr().err
        assert "steps holds 0 rows up to step 20 where 20 were recorded" in said
        assert said.count("\n") == 1


@pytest.mark.slow
def test_one_damaged_run_of_a_grid_costs_the_others_nothing(tmp_path):
    jobs = [Job(Run(net="mlp", width=8, steps=20, lr=lr), tmp_path / f"{lr}") for lr in (0.1, 0.2)]
    sweep(jobs, workers=1, threads=1, together=2)
    (part,) = (jobs[0].out / "steps").iterdir()
    part.unlink()
    damaged, whole = sweep(jobs, workers=1, threads=1, together=2)
    assert damaged.code == 2 and "where 20 were recorded" in damaged.problem
    assert whole.state == "done"


def test_where_things_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("LIMITCYCLE_CACHE", str(tmp_path / "mine"))
    assert cache.cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("LIMITCYCLE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.cache_folder() == tmp_path / "limitcycle"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.cache_folder() == tmp_path / ".cache" / "limitcycle"
    no_home(monkeypatch)
    assert cache.cache_folder() is None
