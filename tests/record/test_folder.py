"""The run folder: one owner, one identity, nothing lost, every refusal one clear line."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from limitcycle.errors import RunError, UserError
from limitcycle.record import STEP_COLUMNS, Run, RunFolder, load, load_all, locked
from limitcycle.record.checkpoints import list_checkpoints
from limitcycle.record.locked import say_for_killed

INFO = {"device": "cpu", "threads": 1, "memory_format": "channels_last", "torch": "2"}


def rows(first: int, last: int) -> pd.DataFrame:
    """Step rows first … last, recognisable by their values."""
    step = np.arange(first, last + 1)
    return pd.DataFrame(dict.fromkeys(STEP_COLUMNS, step + 0.1) | {"step": step})


def epochs(*steps: int) -> pd.DataFrame:
    return pd.DataFrame({"epoch": steps, "step": steps, "norm": 1.0})


def weights(value: float) -> dict[str, np.ndarray]:
    return {"weights/a": np.full((3, 2), value, dtype=np.float32)}


def fill(path: Path, *ends: int) -> None:
    """A folder with a checkpoint after each of ``ends`` completed updates."""
    with RunFolder(path, Run(), INFO) as folder:
        done = 0
        for end in ends:
            folder.save(end, rows(done, end - 1), epochs(end), weights(end))
            done = end


def test_what_is_written_is_read_back(tmp_path):
    fill(tmp_path / "run", 10, 20)
    run = load(tmp_path / "run")
    assert run.run == Run()
    assert run.steps["step"].tolist() == list(range(20))
    assert run.steps["norm"].dtype == np.float64
    assert run.steps["loss"].dtype == np.float32
    assert run.steps["step"].dtype == np.int64
    assert run.epochs["step"].tolist() == [10, 20]
    assert run.checkpoint().completed == 20
    assert run.checkpoint().arrays["weights/a"][0, 0] == 20


def test_float64_runs_are_recorded_in_float64(tmp_path):
    with RunFolder(tmp_path / "run", Run(dtype="float64"), INFO) as folder:
        folder.save(5, rows(0, 4), epochs(5), weights(1))
    assert load(tmp_path / "run").steps["loss"].dtype == np.float64


def test_units_and_version_are_in_the_schema(tmp_path):
    fill(tmp_path / "run", 3)
    (part,) = (tmp_path / "run" / "steps").iterdir()
    schema = pq.read_schema(part)
    assert schema.metadata[b"format_version"] == b"1"
    assert schema.field("loss").metadata[b"unit"].startswith(b"nats")


def test_unknown_columns_are_kept(tmp_path):
    with RunFolder(tmp_path / "run", Run(), INFO) as folder:
        folder.save(3, rows(0, 2).assign(mine=["a", "b", "c"]), epochs(3), weights(1))
    assert load(tmp_path / "run").steps["mine"].tolist() == ["a", "b", "c"]


def test_rows_beyond_the_checkpoint_are_dropped(tmp_path):
    fill(tmp_path / "run", 10)
    with RunFolder(tmp_path / "run", Run(), INFO) as folder:
        folder.append(rows(10, 14), epochs(12))  # killed before its checkpoint
    with RunFolder(tmp_path / "run", Run(), INFO) as folder:
        assert folder.resume().completed == 10
    run = load(tmp_path / "run")
    assert run.steps["step"].max() == 9
    assert run.epochs["step"].tolist() == [10]


def test_without_any_checkpoint_the_user_is_told_that_it_starts_again(tmp_path):
    fill(tmp_path / "run", 10)
    for path in list_checkpoints(tmp_path / "run" / "checkpoints"):
        path.unlink()
    told = []
    with RunFolder(tmp_path / "run", Run(), INFO, told.append) as folder:
        assert folder.resume() is None
    assert "steps up to 9 are computed again from the start" in told[0]


@pytest.mark.parametrize("damage", ["remove", "truncate", "shorten"])
@pytest.mark.parametrize("table", ["steps", "epochs"])
def test_a_damaged_or_missing_part_is_refused_before_anything_is_computed(tmp_path, damage, table):
    fill(tmp_path / "run", 10, 20)
    first = min((tmp_path / "run" / table).iterdir())
    if damage == "remove":
        first.unlink()
    elif damage == "truncate":
        first.write_bytes(first.read_bytes()[:-20])
    else:
        pq.write_table(pq.read_table(first).slice(0, 0), first)
    with (
        RunFolder(tmp_path / "run", Run(), INFO) as folder,
        pytest.raises(UserError, match=f"{table}.* (is damaged|rows up to step 20)"),
    ):
        folder.resume()


@pytest.mark.parametrize("content", ["[]", "{}", '{"format_version": 99, "run": {}}', "3"])
def test_a_run_json_that_describes_no_run_is_refused(tmp_path, content):
    fill(tmp_path / "run", 10)
    (tmp_path / "run" / "run.json").write_text(content)
    with pytest.raises(UserError, match=r"run\.json"):
        RunFolder(tmp_path / "run", Run(), INFO)
    with pytest.raises(UserError, match=r"run\.json"):
        load(tmp_path / "run")


def test_an_abandoned_folder_is_free_for_another_run(tmp_path):
    with RunFolder(tmp_path / "run", Run(lr=1), INFO) as folder:
        folder.abandon()
    fill(tmp_path / "run", 10)
    with RunFolder(tmp_path / "run", Run(), INFO) as folder:
        folder.abandon()  # not fresh any more: nothing happens
    assert len(load(tmp_path / "run").steps) == 10


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty"])
def test_damaged_newest_checkpoint_gives_way_to_the_one_before(tmp_path, damage):
    fill(tmp_path / "run", 10, 20)
    newest = list_checkpoints(tmp_path / "run" / "checkpoints")[-1]
    content = bytearray(newest.read_bytes())
    if damage == "flip":
        content[-3] ^= 1
    newest.write_bytes({"flip": content, "truncate": content[:-9], "empty": b""}[damage])
    told = []
    with RunFolder(tmp_path / "run", Run(), INFO, told.append) as folder:
        assert folder.resume().completed == 10
    assert "it is passed over" in told[0]
    assert str(newest) in told[0]
    assert load(tmp_path / "run").steps["step"].max() == 9


def test_part_that_straddles_a_checkpoint_is_shortened(tmp_path):
    with RunFolder(tmp_path / "run", Run(), INFO) as folder:
        folder.save(10, rows(0, 9), epochs(10), weights(1))
        folder.append(rows(10, 29), epochs())
        folder.save(30, epochs(), epochs(30), weights(2))
        folder.save(35, rows(30, 34), epochs(35), weights(3))
    for part in (
        "checkpoints/step-000000000029.safetensors",
        "checkpoints/step-000000000034.safetensors",
    ):
        (tmp_path / "run" / part).write_bytes(b"damaged")
    with RunFolder(tmp_path / "run", Run(), INFO) as folder:
        assert folder.resume() is None  # the older one has been pruned: only two are kept
    assert load(tmp_path / "run").steps.empty


def test_only_two_checkpoints_stay(tmp_path):
    fill(tmp_path / "run", 1, 2, 3, 4)
    assert len(list_checkpoints(tmp_path / "run" / "checkpoints")) == 2


def test_another_description_is_refused_by_name(tmp_path):
    fill(tmp_path / "run", 3)
    with pytest.raises(UserError, match=r"lr 0\.1 there, 0\.3 here"):
        RunFolder(tmp_path / "run", Run(lr=0.3), INFO)
    assert len(load(tmp_path / "run").steps) == 3


def test_where_and_how_are_no_part_of_the_identity(tmp_path):
    fill(tmp_path / "run", 3)
    told = []
    with RunFolder(tmp_path / "run", Run(), {**INFO, "threads": 2}, told.append):
        pass
    assert "no longer bit-identical" in told[0]
    assert load(tmp_path / "run").info["resumed_under"] == [{"threads": 2}]


def test_a_folder_in_use_is_refused(tmp_path):
    with (
        RunFolder(tmp_path / "run", Run(), INFO),
        pytest.raises(UserError, match="another process"),
    ):
        RunFolder(tmp_path / "run", Run(), INFO)
    with RunFolder(tmp_path / "run", Run(), INFO):
        pass


def test_somebody_elses_folder_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("…")
    (tmp_path / "notes.tmp").write_text("…")
    with pytest.raises(UserError, match="not empty"):
        RunFolder(tmp_path, Run(), INFO)
    assert (tmp_path / "notes.tmp").exists()


def test_a_file_in_the_way_is_one_line(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        RunFolder(tmp_path / "run", Run(), INFO)


@pytest.mark.parametrize(
    ("code", "kind"), [(errno.ENOSPC, RunError), (errno.EIO, RunError), (errno.EROFS, UserError)]
)
def test_disk_errors_are_one_line_and_corrupt_nothing(tmp_path, monkeypatch, code, kind):
    fill(tmp_path / "run", 10)

    def fail(*_):
        raise OSError(code, os.strerror(code))

    with RunFolder(tmp_path / "run", Run(), INFO) as folder:
        folder.resume()
        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(kind, match=os.strerror(code)):
            folder.save(20, rows(10, 19), epochs(20), weights(2))
        monkeypatch.undo()
    assert not list((tmp_path / "run").rglob("*.tmp"))
    assert len(load(tmp_path / "run").steps) == 10


@pytest.mark.parametrize("damage", ["flip", "replace"])
def test_a_damaged_part_is_named(tmp_path, damage):
    fill(tmp_path / "run", 5_000)
    (part,) = (tmp_path / "run" / "steps").iterdir()
    content = bytearray(part.read_bytes())
    content[len(content) // 4] ^= 1  # within the data, where Parquet by itself looks at nothing
    part.write_bytes(content if damage == "flip" else b"PAR1 no more")
    with pytest.raises(UserError, match=part.name):
        _ = load(tmp_path / "run").steps


def test_loading_what_is_no_run(tmp_path):
    with pytest.raises(UserError, match=r"run\.json is missing"):
        load(tmp_path)
    with pytest.raises(UserError, match="no run in"):
        load_all(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(UserError, match=r"is no JSON \(line 1\)"):
        load(tmp_path)


def test_a_sweep_is_loaded_in_order_of_its_paths(tmp_path):
    for name in ("b", "a", "deep/c"):
        fill(tmp_path / name, 1)
    assert [run.name for run in load_all(tmp_path)] == ["a", "b", "c"]


def test_an_unfinished_folder_shows_empty_tables(tmp_path):
    with RunFolder(tmp_path / "run", Run(), INFO):
        pass
    run = load(tmp_path / "run")
    assert run.steps.empty
    assert list(run.steps.columns) == [*STEP_COLUMNS, "momentum"]


def test_everybody_may_read_what_everybody_may_read(tmp_path):
    fill(tmp_path / "run", 3)
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "run").rglob("*.*")}
    assert len(modes) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format_version": "x"}, "has no format_version but"),
        ({"run": {"lr": "abc"}}, "does not describe a run"),
    ],
)
def test_a_description_that_is_none_is_named_with_its_file(tmp_path, change, said):
    fill(tmp_path / "run", 1)
    path = tmp_path / "run" / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(UserError, match=rf"run\.json.*{said}"):
        load(tmp_path / "run")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "failed"),
        (("running", False), "failed"),
        (("stopped", False), "failed"),
        (("failed", False), "failed"),
        (("done", False), "done"),
        (("failed", True), "failed"),
    ],
)
def test_for_a_killed_run_it_is_said_how_it_ended(tmp_path, monkeypatch, before, after):
    monkeypatch.setattr(locked, "_DYING_SECONDS", 0.0)
    path = tmp_path / "run"
    with RunFolder(path, Run(), INFO) as folder:
        folder.save(10, rows(0, 9), epochs(10), weights(1))
        if before is not None:
            folder.set_status(before[0], 10, "its own", final=before[1])
        with pytest.raises(UserError, match="another process"):
            say_for_killed(path, "failed", "killed")
    say_for_killed(path, "failed", "killed")
    last_word = before in (("done", False), ("failed", True))
    status = load(path).status
    assert (status["state"], status["reason"]) == (after, "its own" if last_word else "killed")
    assert status["step"] == (10 if before else 0)
    say_for_killed(tmp_path / "none", "failed", "killed")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("stage", ["mkdir", "take_lock", "write_json"])
@pytest.mark.parametrize("kind", [RunError, UserError, KeyboardInterrupt])
def test_folders_made_for_a_run_that_cannot_begin_are_removed(tmp_path, monkeypatch, stage, kind):
    real = Path.mkdir

    def fail(*_, **__):
        raise kind("refused")

    def make_the_first(path, *arguments, **options):
        if path.name == "run":
            real(tmp_path / "new", exist_ok=True)
            fail()
        real(path, *arguments, **options)

    if stage == "mkdir":
        monkeypatch.setattr(Path, "mkdir", make_the_first)
    else:
        monkeypatch.setattr(locked, stage, fail)
    with pytest.raises(kind, match="refused"):
        RunFolder(tmp_path / "new" / "deep" / "run", Run(), INFO)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    (tmp_path / "mine").mkdir()
    monkeypatch.setattr(locked, "write_json", fail)
    with pytest.raises(kind, match="refused"):
        RunFolder(tmp_path / "mine", Run(), INFO)
    assert (tmp_path / "mine").is_dir()
