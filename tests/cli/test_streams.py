"""What is printed arrives: on a terminal that knows no Greek, of paths that are no UTF-8."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from limitcycle.checks import shell_word
from limitcycle.cli.main import main
from limitcycle.record import Run, RunFolder, load
from tests.record.test_folder import INFO, epochs, fill, rows, weights

ODD = os.fsdecode(b"r\xff\xfe")


@pytest.fixture
def odd_run(tmp_path):
    """A recorded run in a folder whose name is no UTF-8."""
    path = tmp_path / ODD / "ρ"
    with RunFolder(path, Run(), INFO) as folder:
        folder.save(40, rows(0, 39), epochs(40), weights(1))
        folder.set_status("failed", 40, f"the loss is nan in {path}")
    return path


class Terminal(io.TextIOWrapper):
    """A stream of some encoding, as strict as a terminal's."""

    def __init__(self, encoding):
        super().__init__(io.BytesIO(), encoding=encoding, errors="strict", write_through=True)

    def said(self):
        return self.buffer.getvalue().decode(self.encoding)


@pytest.mark.parametrize("encoding", ["ascii", "utf-8", "latin-1", "cp1252"])
@pytest.mark.parametrize(
    "command",
    [
        ["diagnose", "RUN"],
        ["diagnose", "--json", "RUN"],
        ["report", "RUN"],
        ["report", "RUN", "--out", f"RUN/{ODD}.svg"],
        ["report", "RUN", "--out", f"RUN/{ODD}.png"],
        ["report", f"RUN/{ODD}"],
        ["diagnose", f"{ODD}.csv"],
        ["train", "--lr", "ρ" + ODD, "--out", "RUN"],
        ["train", "--help"],
        ["map", "--help"],
    ],
    ids=" ".join,
)
def test_every_encoding_takes_what_is_printed(odd_run, monkeypatch, encoding, command):
    out, err = Terminal(encoding), Terminal(encoding)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    try:
        code = main([part.replace("RUN", str(odd_run)) for part in command])
    except SystemExit as end:
        code = end.code
    assert code in (0, 2)
    assert (out if code == 0 else err).said()


def test_a_run_in_an_odd_folder_is_recorded_in_an_ascii_locale(tmp_path):
    code = (
        "import sys; from pathlib import Path; sys.argv[0] = '';"
        "from tests.record.test_folder import fill; from limitcycle.record import load;"
        "fill(Path(sys.argv[1]), 5); assert len(load(sys.argv[1]).steps) == 5;"
        "from limitcycle.cli.main import main; raise SystemExit(main(['diagnose', sys.argv[1]]))"
    )
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-c", code, os.fsencode(tmp_path) + b"/\xcf\x81\xff"]
    done = subprocess.run(command, env={**os.environ, **ascii_only}, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


_MANY = """
import os, sys
from limitcycle.cli.main import main

run, kept, out = sys.argv[1], os.dup(2), os.dup(1)
sys.argv[0] = ""


def ended(command, number, target):
    # What a command finds that starts with such a descriptor.
    name = "stdout" if number == 1 else "stderr"
    if target is None:
        os.close(number)
        setattr(sys, name, None)
        setattr(sys, f"__{name}__", None)
    else:
        os.dup2(os.open(target, os.O_WRONLY), number)
        stream = open(number, "w", closefd=False)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    try:
        return main(command)
    except SystemExit as end:
        return end.code
    finally:
        os.dup2(out, 1)
        os.dup2(kept, 2)
        sys.stdout = sys.__stdout__ = open(1, "w", closefd=False)
        sys.stderr = sys.__stderr__ = open(2, "w", closefd=False)


for command in (["--help"], ["paper"], ["diagnose", run], ["diagnose", "--json", run], []):
    assert ended(command, 1, None) == 0, command
    assert ended(command, 1, "/dev/full") == 1, command
    assert ended(["diagnose", run + "x"], 2, None) == 2
    assert ended(["diagnose", run + "x"], 2, "/dev/full") == 2
    assert ended(["--help"], 2, None) == 0
assert ended(["train", "--steps", "3", "--width", "8", "--train-size", "64", "--test-size", "16",
    "--batch-size", "32", "--out", run + "new"], 2, "/dev/full") == 1
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device")
def test_a_closed_stream_is_nothing_and_a_full_one_is_said_in_a_line(tmp_path):
    fill(tmp_path / "run", 5)
    command = [sys.executable, "-c", _MANY, str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    full = "limitcycle: standard output cannot be written: No space left on device"
    assert done.stderr.splitlines() == [full] * 5
    assert load(tmp_path / "runnew").status["state"] == "done"  # nothing is lost for a full log


def test_a_command_that_starts_with_closed_streams_ends_well(odd_run):
    command = 'exec "$0" -m limitcycle diagnose "$1" >&- 2>&-'
    done = subprocess.run(["sh", "-c", command, sys.executable, odd_run])
    assert done.returncode == 0


ODD_NAMES = ["plain/a", "sp ace", "it's", "a\nb", ODD, "-x", "$HOME `x`", "ρ", "back\\slash\n'"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_a_path_to_paste_is_one_line_and_arrives():
    words = [shell_word(name) for name in ODD_NAMES]
    assert all(word.isprintable() for word in words)
    script = f"printf '%s\\0' {' '.join(words)}"
    told = subprocess.run(["bash", "-c", script], capture_output=True).stdout
    arrived = [os.path.normpath(os.fsdecode(name)) for name in told.split(b"\0")[:-1]]
    assert arrived == ODD_NAMES


def test_what_to_type_next_can_be_pasted(tmp_path, capsys):
    small = ["--width", "8", "--train-size", "64", "--test-size", "16", "--batch-size", "32"]
    out = tmp_path / "sp ace\nb"
    assert main(["train", *small, "--steps", "3", "--out", str(out)]) == 0
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("done: ") and last.endswith(
        f"; look: limitcycle report {shell_word(out)}"
    )


def test_no_checkpoint_is_promised_where_there_is_none(tmp_path, capsys):
    command = ["train", "--lr", "0.3", "--steps", "2000", "--stop-after", "0.001"]
    assert main([*command, "--out", str(tmp_path / "run")]) == 0
    assert capsys.readouterr().err.splitlines()[-1] == (
        "stopped before the end; the same command goes on"
    )
