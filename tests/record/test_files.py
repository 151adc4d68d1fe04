"""Writing: whole or not at all, into nobody else's file, readable by whoever may read."""

import json
import os
import secrets
import stat
from pathlib import Path

import pytest

from limitcycle.errors import UserError
from limitcycle.record import Run, RunFolder, load
from limitcycle.record.files import (
    is_there,
    read_json,
    sweep_temporaries,
    write_json,
    write_text,
    write_whole,
)
from tests.record.test_folder import INFO, fill


@pytest.fixture
def victim(tmp_path) -> Path:
    """A file of somebody's that nobody else may read."""
    path = tmp_path / "victim"
    path.write_text("private")
    path.chmod(0o600)
    return path


def untouched(victim: Path) -> bool:
    return victim.read_text() == "private" and stat.S_IMODE(victim.stat().st_mode) == 0o600


@pytest.fixture
def umask():
    former = os.umask(0o022)
    yield
    os.umask(former)


def test_links_of_names_that_might_come_lead_nobody_astray(tmp_path, victim):
    """As if somebody else had prepared the folder for every process number."""
    run = tmp_path / "run"
    run.mkdir()
    for number in (os.getpid(), *range(1, 4_000)):
        if not is_there(link := run / f"run.json.{number}.tmp"):
            link.symlink_to(victim)
    fill(run, 3)
    assert untouched(victim)
    assert len(load(run).steps) == 3
    assert not (run / "run.json").is_symlink()


@pytest.mark.parametrize("kind", ["link", "link to nothing", "hard link", "file"])
def test_a_temporary_name_that_is_taken_is_refused_and_left(tmp_path, victim, monkeypatch, kind):
    monkeypatch.setattr(secrets, "token_hex", lambda *_: "0" * 16)
    taken = tmp_path / f"x.json.{'0' * 16}.tmp"
    if kind == "hard link":
        taken.hardlink_to(victim)
    elif kind == "file":
        taken.write_text("theirs")
    else:
        taken.symlink_to(victim if kind == "link" else tmp_path / "made")
    with pytest.raises(UserError, match="cannot write"):
        write_json(tmp_path / "x.json", {})
    assert untouched(victim)
    assert is_there(taken)
    assert not is_there(tmp_path / "x.json") and not is_there(tmp_path / "made")


@pytest.mark.parametrize("name", ["run.json", "status.json"])
def test_a_link_in_a_files_place_is_replaced_not_followed(tmp_path, victim, name):
    fill(tmp_path / "run", 3)
    path = tmp_path / "run" / name
    content = path.read_text() if path.exists() else "{}"
    victim.write_text(content)
    path.unlink(missing_ok=True)
    path.symlink_to(victim)
    write_json(path, {"new": 1})
    assert victim.read_text() == content
    assert read_json(path) == {"new": 1} and not path.is_symlink()


@pytest.mark.parametrize("there", [True, False])
def test_a_lock_that_is_a_link_is_refused_not_followed(tmp_path, victim, there):
    (tmp_path / "run").mkdir()
    aim = victim if there else tmp_path / "made"
    (tmp_path / "run" / "lock").symlink_to(aim)
    with pytest.raises(UserError, match=r"cannot write .*lock"):
        RunFolder(tmp_path / "run", Run(), INFO)
    assert untouched(victim)
    assert not is_there(tmp_path / "made")


def test_a_lock_that_is_somebodys_file_is_neither_emptied_nor_opened_to_all(tmp_path, victim):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "lock").hardlink_to(victim)
    fill(tmp_path / "run", 3)
    assert untouched(victim)


def test_an_earlier_version_is_kept_out_and_keeps_out(tmp_path):
    """Versions before the one with `filelock` call flock on the same file themselves."""
    fcntl = pytest.importorskip("fcntl")
    with (
        RunFolder(tmp_path / "run", Run(), INFO),
        (tmp_path / "run" / "lock").open("a") as theirs,
        pytest.raises(BlockingIOError),
    ):
        fcntl.flock(theirs, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with (tmp_path / "run" / "lock").open("a") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(UserError, match="another process"):
            RunFolder(tmp_path / "run", Run(), INFO)
    with RunFolder(tmp_path / "run", Run(), INFO):
        pass


OURS = ["run.json.123.tmp", "status.json.0123456789abcdef.tmp", "steps/0-1.parquet.7.tmp"]
THEIRS = ["notes.tmp", "table.csv.12.tmp", "run.json.tmp", "run.json.xyz.tmp"]


def test_what_a_killed_writer_of_any_version_left_is_swept_and_nothing_else(tmp_path):
    (tmp_path / "steps").mkdir()
    for name in OURS + THEIRS:
        (tmp_path / name).write_text("")
    (tmp_path / "folder.json.12.tmp").mkdir()
    sweep_temporaries(tmp_path)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert left == {*THEIRS, "steps", "folder.json.12.tmp"}


@pytest.mark.parametrize("left", ["run.json.123.tmp", "run.json.0123456789abcdef.tmp"])
def test_a_folder_whose_claim_was_cut_short_is_free(tmp_path, left):
    (tmp_path / left).write_text("{")
    (tmp_path / "lock").write_text("")
    fill(tmp_path, 3)
    assert len(load(tmp_path).steps) == 3


def test_everything_has_the_permissions_that_the_user_gives(tmp_path, umask):
    fill(tmp_path / "run", 3)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "run").rglob("*.*")}
    assert modes == {0o644}


def test_a_writer_that_fails_leaves_what_was_there_and_nothing_else(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, 1)

    def fail(file):
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(path, fail)
    assert [each.name for each in tmp_path.iterdir()] == ["x.json"]
    assert read_json(path) == 1


def test_names_up_to_the_longest_can_be_written(tmp_path):
    path = tmp_path / ("ρ" * 120 + ".json")  # 245 bytes of 255
    write_json(path, 1)
    assert read_json(path) == 1


@pytest.mark.parametrize("text", ["ρ", "a\udcff", "\ud800 \U0001f600", 'quote " and \\udcff'])
def test_texts_that_no_utf8_can_say_come_back_from_json(tmp_path, text):
    write_json(tmp_path / "x.json", {text: [text]})
    assert read_json(tmp_path / "x.json") == {text: [text]}
    json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    write_text(tmp_path / "x.txt", text)
    (tmp_path / "x.txt").read_text(encoding="utf-8")
