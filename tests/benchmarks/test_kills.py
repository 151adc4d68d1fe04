"""The kills: the comparison finds what differs, and a few real ones."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks import kills
from limitcycle.lab import train
from limitcycle.record import Run
from limitcycle.record.files import read_json, write_json

ROOT = Path(__file__).parents[2]


def test_what_differs_is_found(tmp_path):
    small = {"width": 8, "train_size": 64, "test_size": 20, "batch_size": 32}
    train(Run(**small, steps=6), tmp_path / "a" / "run")
    train(Run(**small, steps=6), tmp_path / "b" / "run")
    expected = kills.of_runs(tmp_path / "a")
    assert kills.differing(expected, kills.of_runs(tmp_path / "b")) == []
    train(Run(**small, steps=6, lr=0.2), tmp_path / "c" / "run")
    found = kills.differing(expected, kills.of_runs(tmp_path / "c"))
    assert "run steps loss" in found and any("weights" in name for name in found)
    status = tmp_path / "b" / "run" / "status.json"
    write_json(status, {**read_json(status), "state": "stopped"})
    assert kills.differing(expected, kills.of_runs(tmp_path / "b")) == ["run status"]
    train(Run(**small, steps=6), tmp_path / "b" / "more")
    assert len(kills.differing(expected, kills.of_runs(tmp_path / "b"))) > 10


def test_the_table_counts_and_only_a_clean_sheet_is_sound():
    well = kills.Tally("grid", Counter({kills.ALL: 2, kills.WORKER: 1}), 2)
    bad = kills.Tally("map", Counter({kills.COMMAND: 1}), 3, ["killed-1: map.csv"], {"pymp-1"})
    assert well.sound and not bad.sound and not kills.Tally("grid").sound
    rows = [line.split() for line in kills.table([well, bad]).splitlines()]
    assert rows[1] == ["grid", "3", "2", "0", "1", "2", "2", "of", "2", "0"]
    assert rows[2] == ["map", "1", "0", "1", "0", "3", "2", "of", "3", "1"]
    assert rows[3] == ["all", "4", "2", "1", "1", "5", "1"]
    assert [" ".join(row) for row in rows[4:]] == [
        "map: killed-1: map.csv differs",
        "map: pymp-1 is left behind",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["grid", "script"])
def test_a_few_kills_end_bit_identical_and_leave_nothing(kind):
    command = [sys.executable, "-m", "benchmarks.kills", "--kills", "3", "--kind", kind]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert done.stdout.splitlines()[1].split()[:2] == [kind, "3"]
