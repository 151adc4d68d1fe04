"""Event files as PyTorch's writer leaves them, whole, restarted, cut and damaged."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from limitcycle.errors import UserError
from limitcycle.reading import diagnose
from limitcycle.record.logs import as_table
from limitcycle.record.tensorboard import event_folders, read_events
from tests.record.logged import ROWS, write_events


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_events(tmp_path_factory.mktemp("tb"))


def copied(folder, to):
    to.mkdir()
    (source,) = folder.iterdir()
    target = to / source.name
    target.write_bytes(source.read_bytes())
    return target


def close(table, frame):
    pd.testing.assert_frame_equal(table, frame, check_dtype=False, rtol=1e-6)


def test_what_was_written_comes_back(folder):
    table, notes = as_table(read_events(folder, "tb"), {})
    close(table, ROWS)
    assert notes == ["taken: loss = 'train/loss', norm = 'weight_norm'"]
    pd.testing.assert_frame_equal(diagnose(table).events, diagnose(ROWS).events, rtol=1e-6)


def test_a_restart_replaces_what_came_after_its_first_step(tmp_path):
    write_events(tmp_path, ROWS.iloc[:700:2].assign(loss=9.0), filename_suffix=".b")
    write_events(tmp_path, ROWS.iloc[501:], filename_suffix=".a")
    log = read_events(tmp_path, "tb")
    table, notes = as_table(log, {})
    close(table.iloc[251:].reset_index(drop=True), ROWS.iloc[501:].reset_index(drop=True))
    assert list(table["step"].iloc[:251]) == list(range(0, 502, 2))[:251]
    assert "198 earlier values dropped" in notes[-1]


def test_a_file_cut_anywhere_gives_what_is_whole(folder, tmp_path):
    file = copied(folder, tmp_path / "cut")
    whole = file.read_bytes()
    for end in (len(whole) - 1, len(whole) // 2, len(whole) // 3 + 5):
        file.write_bytes(whole[:end])
        table, notes = as_table(read_events(file.parent, "cut"), {})
        close(table, ROWS.head(len(table)))
        assert len(table) >= 0.9 * end / len(whole) * len(ROWS)
        assert any("is cut or damaged: its last" in note for note in notes)


def test_a_damaged_byte_ends_the_file_there(folder, tmp_path):
    file = copied(folder, tmp_path / "damaged")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    table, notes = as_table(read_events(file.parent, "damaged"), {})
    close(table, ROWS.head(len(table)))
    assert len(table) < 0.6 * len(ROWS)
    assert "cut or damaged" in notes[-1]


@pytest.mark.parametrize("content", [b"", b"no event file at all", b"\0" * 100])
def test_a_file_of_something_else_holds_nothing(tmp_path, content):
    (tmp_path / "events.out.tfevents.1.x").write_bytes(content)
    assert read_events(tmp_path, "tb").names == []


def test_other_summaries_are_passed_over(tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        writer.add_text("loss", "0.5", 0)
        writer.add_histogram("weight_norm", np.arange(10.0), 0)
        writer.add_image("train/loss", np.zeros((3, 2, 2)), 0)
        writer.add_scalar("a", float("nan"), 3)
        writer.add_scalar("b", 2, 3, new_style=True)
    log = read_events(tmp_path, "tb")
    assert log.names == ["a", "b"]
    assert np.isnan(log.curve("a").loc[3]) and log.curve("b").loc[3] == 2


def test_divergence_is_seen(tmp_path):
    frame = ROWS.copy()
    frame.loc[len(frame) - 50 :, ["loss", "norm"]] = np.nan
    table, _ = as_table(read_events(write_events(tmp_path, frame), "tb"), {})
    verdict = diagnose(table)
    assert verdict.label == "diverged" and f"{len(frame) - 50:,}" in verdict.reason


def test_runs_are_the_folders_that_no_record_holds(tmp_path):
    for name in ("a", "b/version_0", "recorded", "recorded/tensorboard"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "events.out.tfevents.1.x").touch()
    (tmp_path / "recorded" / "run.json").write_text("{}")
    (tmp_path / "b" / "events.out.tfevents.2.profile-empty").touch()
    found = [folder.relative_to(tmp_path).as_posix() for folder in event_folders(tmp_path)]
    assert found == ["a", "b/version_0"]


def test_a_folder_without_a_norm_says_how_to_log_one(tmp_path):
    log = read_events(write_events(tmp_path, ROWS.head(40), norm=None), "tb")
    with pytest.raises(UserError, match=r"get_total_norm.*writer\.add_scalar"):
        as_table(log, {})


WITHOUT = """
import sys
sys.modules["tensorboard"] = None
from pathlib import Path
from limitcycle.record.tensorboard import read_events
from limitcycle.errors import UserError
assert "torch" not in sys.modules
try:
    read_events(Path(sys.argv[1]), "tb")
except UserError as problem:
    print(problem)
"""


def test_without_tensorboard_one_line_says_what_to_install(folder):
    command = [sys.executable, "-c", WITHOUT, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip().endswith("pip install 'limitcycle[tensorboard]'"), done.stderr
