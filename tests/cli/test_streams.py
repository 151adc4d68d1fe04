"""What is printed arrives: on a terminal that knows no Greek, of paths that are no UTF-8."""

import io
import os
import subprocess
import sys

import pytest

from limitcycle.cli.main import main
from limitcycle.record import Run, RunFolder
from tests.record.test_folder import INFO, epochs, rows, weights

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
