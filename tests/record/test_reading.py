"""What is read back from disk passes one door: it is read, or refused in one line."""

import contextlib
import itertools
import json
import os
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limitcycle.errors import UserError
from limitcycle.record import Run, RunFolder, WatchedFolder, load, load_all
from limitcycle.record.checkpoints import list_checkpoints, promised_rows
from limitcycle.record.described import read_info, read_seconds, read_status
from limitcycle.record.files import read_object, write_json
from limitcycle.record.folder import is_finished
from tests.record.test_folder import INFO, epochs, fill, rows, weights

ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.text(max_size=5)
    | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
FILES = {
    "run.json": ("run", "identity", "resumed_under", "format_version", "train_size", "remark"),
    "status.json": ("state", "step", "reason", "final", "recorded"),
    "timing.json": ("seconds", "steps"),
}


def finished(path: Path, *ends: int) -> Path:
    """A finished run of the lab with a checkpoint after each of ``ends`` updates."""
    fill(path, *ends)
    with RunFolder(path, Run(), INFO) as folder:
        folder.resume()
        folder.set_status("done", ends[-1])
        folder.write_json("timing.json", {"seconds": {"training": 1.5}, "steps": ends[-1]})
    return path


def watched(path: Path, *ends: int) -> Path:
    """A watched run's folder, with a part up to each of ``ends``; two groups."""
    with WatchedFolder(path, INFO) as folder:
        folder.go_back(0)
        for first, end in zip((0, *ends), ends, strict=False):
            folder.append(*both(first, end - 1))
        folder.set_status("done", ends[-1])
    return path


def both(first, last):
    steps = rows(first, last)
    groups = steps.loc[steps.index.repeat(2)].drop(columns=["epoch", "loss"])
    return steps, groups.assign(group=["a", "b"] * len(steps))


def opened(path: Path) -> None:
    """Everything that opens a folder and reads from it."""
    run = load(path)
    _ = run.status, run.steps, run.epochs, run.groups, run.snapshots
    if run.run is not None:
        run.checkpoint()
        is_finished(path, run.run, INFO)
        with RunFolder(path, run.run, INFO) as folder:
            folder.resume()
    read_seconds(path)


def refused(open_it, path: Path) -> str:
    """Why; in one line that names the folder."""
    with pytest.raises(UserError) as problem:
        open_it(path)
    assert "\n" not in str(problem.value)
    assert str(path) in str(problem.value)
    return str(problem.value)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None
)
@given(value=ANY, data=st.data())
@pytest.mark.parametrize("name", FILES)
def test_any_value_in_any_field_is_read_or_refused_in_one_line(tmp_path, name, value, data):
    path = tmp_path / "run"
    if not path.exists():
        finished(path, 5)
    file = path / name
    whole = file.read_text()
    field = data.draw(st.sampled_from(FILES[name]))
    file.write_text(json.dumps({**json.loads(whole), field: value}))
    try:
        opened(path)
        run = load(path)
        assert isinstance(run.status["reason"], str)
        assert isinstance(run.status["step"], int)
    except UserError as problem:
        assert "\n" not in str(problem)
    finally:
        file.write_text(whole)


DAMAGES = {
    "empty": lambda file: file.write_bytes(b""),
    "no UTF-8": lambda file: file.write_bytes(b'{"run": "\xff"}'),
    "deep": lambda file: file.write_text("[" * 100_000),
    "deep, but JSON": lambda file: file.write_text('{"run": ' + "[" * 500 + "]" * 500 + "}"),
    "long number": lambda file: file.write_text('{"run": ' + "9" * 5_000 + "}"),
    "folder": lambda file: (file.unlink(), file.mkdir()),
    "link to nothing": lambda file: (file.unlink(), file.symlink_to("nothing")),
    "link to itself": lambda file: (file.unlink(), file.symlink_to(file)),
    "pipe": lambda file: (file.unlink(), os.mkfifo(file)),
    "device": lambda file: (file.unlink(), file.symlink_to("/dev/zero")),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("victim", ["run.json", "status.json", "steps", "epochs", "checkpoints"])
def test_whatever_lies_in_a_files_place_is_named(tmp_path, victim, damage):
    path = finished(tmp_path / "run", 5, 10)
    file = path / victim
    DAMAGES[damage](max(file.iterdir()) if file.is_dir() else file)
    if victim == "checkpoints":  # there is an older one
        assert promised_rows(file) == (5, {"steps": 5, "epochs": 1})
        refused(lambda path: load(path).checkpoint(), path)
    else:
        refused(opened, path)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_watched_part_in_whose_place_something_lies_is_named(tmp_path, damage):
    path = watched(tmp_path / "run", 5, 10)
    DAMAGES[damage](min((path / "groups").iterdir()))
    refused(lambda path: load(path).groups, path)


@pytest.mark.parametrize("lost", [["steps"], ["epochs"], ["steps", "epochs"]])
@pytest.mark.parametrize("which", ["first", "middle", "last", "all"])
@pytest.mark.parametrize("checkpoints", [True, False])
def test_rows_that_were_recorded_are_counted_on_opening(tmp_path, lost, which, checkpoints):
    path = finished(tmp_path / "run", 5, 10, 15)
    if not checkpoints:  # which is allowed
        remove(path / "checkpoints", "all")
        assert load(path).status == {"state": "done", "step": 15, "reason": ""}
    for name in lost:
        remove(path / name, which)
    for open_it in (load, load_all, lambda path: is_finished(path, Run(), INFO)):
        assert "rows" in refused(open_it, path)


@pytest.mark.parametrize("table", ["steps", "groups"])
@pytest.mark.parametrize("which", ["first", "middle", "last", "all"])
def test_rows_that_a_watched_folder_had_are_counted_on_opening(tmp_path, table, which):
    path = watched(tmp_path / "run", 5, 10, 15)
    load(path)
    remove(path / table, which)
    assert "rows" in refused(load, path)
    refused(lambda path: WatchedFolder(path, INFO), path)


def remove(folder: Path, which: str) -> None:
    parts = sorted(folder.iterdir())
    chosen = {"first": parts[:1], "middle": parts[1:2], "last": parts[-1:], "all": parts}
    for part in chosen[which]:
        part.unlink()


def test_a_watched_run_that_goes_back_is_counted_from_there(tmp_path):
    path = watched(tmp_path / "run", 5, 10)
    with WatchedFolder(path, INFO) as folder:
        folder.go_back(7)
        folder.append(*both(7, 8))
    run = load(path)  # killed before it said more
    assert list(run.steps["step"]) == list(range(9))
    assert len(run.groups) == 18
    assert run.status == {"state": "running", "step": 9, "reason": ""}


def test_rows_beyond_the_newest_checkpoint_are_nobodys_promise(tmp_path):
    path = tmp_path / "run"
    fill(path, 5)
    with RunFolder(path, Run(), INFO) as folder:
        folder.resume()
        folder.append(rows(5, 8), epochs(9))
        assert len(load(path).steps) == 9


def test_tables_that_were_kept_one_after_the_other_are_counted(tmp_path):
    path = tmp_path / "run"
    with RunFolder(path, Run(), INFO) as folder:
        folder.resume()
        for steps, evaluated in ((rows(0, 9), epochs()), (rows(1, 0), epochs(0, 10, 12))):
            folder.append(steps, evaluated)
            folder.set_status("stopped", 10)
            load(path)
    remove(path / "epochs", "all")
    assert f"{path / 'epochs'} holds 0 rows" in refused(load, path)


@pytest.mark.parametrize("lost", ["newest", "all", "none"])
def test_wherever_going_back_is_cut_short_no_row_is_promised_that_is_gone(tmp_path, lost):
    for changes in itertools.count():
        path = tmp_path / str(changes)
        fill(path, 5, 10)
        with RunFolder(path, Run(), INFO) as folder:
            folder.resume()
            folder.append(rows(10, 14), epochs(15))
            folder.set_status("failed", 15, "the disk is full")
        found = list_checkpoints(path / "checkpoints")
        for file in {"newest": found[-1:], "all": found, "none": []}[lost]:
            file.unlink()
        load(path)
        whole = False
        with cut_after(changes), RunFolder(path, Run(), INFO) as folder:
            checkpoint = folder.resume()
            done = checkpoint.completed if checkpoint else 0
            folder.set_status("running", done)
            folder.save(done + 2, rows(done, done + 1), epochs(done + 1), weights(1))
            folder.set_status("stopped", done + 2)
            whole = True
        load(path)
        if whole:
            break
    assert changes > 4


class Cut(BaseException):
    """The process was killed."""


@contextlib.contextmanager
def cut_after(changes: int):
    """Inside, the process ends after so many files were replaced or removed."""
    left = itertools.repeat(None, changes)

    def counted(work):
        def change(*arguments, **options):
            try:
                next(left)
            except StopIteration:
                raise Cut from None
            work(*arguments, **options)

        return change

    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Cut):
        patch.setattr(os, "replace", counted(os.replace))
        patch.setattr(Path, "unlink", counted(Path.unlink))
        yield


def test_a_finished_run_of_an_earlier_version_may_do_without_checkpoints_but_not_without_rows(
    tmp_path,
):
    path = finished(tmp_path / "run", 5)
    remove(path / "checkpoints", "all")
    status = read_object(path / "status.json")
    write_json(path / "status.json", {k: v for k, v in status.items() if k != "recorded"})
    assert is_finished(path, Run(), INFO)
    remove(path / "steps", "all")
    refused(load, path)


@pytest.mark.parametrize("table", ["steps", "epochs"])
def test_swapped_parts_are_refused(tmp_path, table):
    path = finished(tmp_path / "run", 5, 10)
    one, other = (part.read_bytes() for part in sorted((path / table).iterdir()))
    for part, content in zip(sorted((path / table).iterdir()), (other, one), strict=True):
        part.write_bytes(content)
    assert "is damaged" in refused(lambda path: getattr(load(path), table), path)


def test_a_snapshot_is_no_checkpoint_of_another_step(tmp_path):
    path = finished(tmp_path / "run", 5, 10)
    old, new = list_checkpoints(path / "checkpoints")
    new.write_bytes(old.read_bytes())
    assert "that of step 4" in refused(lambda path: load(path).checkpoint(), path)


@pytest.mark.parametrize("count", [400, pytest.param(6_000, marks=pytest.mark.slow)])
def test_no_flipped_bit_of_a_part_changes_what_is_read_unnoticed(tmp_path, count):
    path = tmp_path / "run"
    fill(path, 40)
    expected = load(path).steps
    (part,) = (path / "steps").iterdir()
    whole, draw, noticed = part.read_bytes(), random.Random(0), 0
    for _ in range(count):
        content = bytearray(whole)
        content[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        part.write_bytes(content)
        try:
            assert load(path).steps.equals(expected)
        except UserError as problem:
            assert "\n" not in str(problem) and str(part) in str(problem)
            noticed += 1
    assert noticed > count / 4


@pytest.mark.parametrize("count", [300, pytest.param(5_000, marks=pytest.mark.slow)])
def test_no_flipped_bit_of_a_checkpoint_changes_what_is_read_unnoticed(tmp_path, count):
    path = tmp_path / "run"
    with RunFolder(path, Run(), INFO) as folder:
        folder.save(4, rows(0, 3), epochs(4), weights(1))
    (file,) = list_checkpoints(path / "checkpoints")
    whole, draw = file.read_bytes(), random.Random(1)
    for _ in range(count):
        content = bytearray(whole)
        content[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        file.write_bytes(content)
        promised_rows(file.parent)
        try:
            found = load(path).checkpoint()
            assert np.array_equal(found.arrays["weights/a"], weights(1)["weights/a"])
            assert found.completed == 4
        except UserError as problem:
            assert "\n" not in str(problem)


def test_older_files_without_what_came_later_are_read(tmp_path):
    path = finished(tmp_path / "run", 5)
    (path / "status.json").write_text('{"state": "failed", "step": 5}')
    (path / "run.json").write_text(
        json.dumps({"run": {**Run().to_dict()}, "identity": Run().identity})
    )
    assert read_status(path)["reason"] == ""
    assert read_info(path)["identity"] == Run().identity
    assert load(path).run == Run()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("empty", "is empty"),
        ("no UTF-8", "is no text in UTF-8"),
        ("deep", "is nested too deep"),
        ("deep, but JSON", "is nested too deep"),
        ("long number", "holds a number of too many digits"),
        ("link to nothing", "is a link to nothing"),
        ("link to itself", "is a link to itself"),
    ],
)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_small_file_is_named_in_plain_words_with_what_helps(tmp_path, name, damage, said):
    path = finished(tmp_path / "run", 5)
    DAMAGES[damage](path / name)
    words = refused(opened, path)
    assert words.startswith(f"{path / name} {said}: restore it")
    assert ("remove it" in words) == (name != "run.json")
    if name != "run.json":
        (path / name).unlink()
        opened(path)


@pytest.mark.parametrize("aim", ["nothing", "itself"])
def test_a_link_that_leads_nowhere_is_no_runs_folder(tmp_path, aim):
    path = tmp_path / "itself"
    path.symlink_to(aim)
    doors = [load, load_all, lambda path: RunFolder(path, Run(), INFO)]
    doors.append(lambda path: RunFolder(path / "below", Run(), INFO))
    for open_it in doors:
        assert f"{path} is a link to {aim}" in refused(open_it, path)
    assert path.is_symlink() and list(tmp_path.iterdir()) == [path]
