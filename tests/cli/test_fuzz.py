"""Command lines that nobody would type: a right exit code, a line at most, and nothing left behind.

Everything is real but what costs time: a run claims its folder and is not trained, a figure is
not painted.
"""

import argparse
import os
import random
import sys
from functools import cache
from pathlib import Path

import pytest

from limitcycle import forkserver
from limitcycle.cli import main as command_line
from limitcycle.cli.verbs import VERBS
from limitcycle.lab import Outcome, parallel, training
from tests.report.conftest import sawtooth_table

PARTS, COUNT, SEED = 8, 750, 12
FAST = 60  # command lines of the fast suite

NUMBERS = (
    *("0", "-0", "1", "2", "3", "7", "-1", "0.1", "0.3", "1e-3", "64", "128", "1000", "0.5"),
    *("1e400", "-1e400", "nan", "-nan", "inf", "-inf", "1e-46", "1e-320", "5e-324", "1.8e308"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775809", "4294967296"),
    *("9" * 400, "9" * 5_000, "1e", "0x10", "1_000", "٣", "½", "1,5", "9m", "2h", "0s", "-3s"),
)
RANGES = (
    *("0.1:1:3", "1:4:4", "1:0:3", "0:1:0", "0:0.9:4", "0.1:1:1000000000", "1:2", "::", "a:b:c"),
    *("-1e308:1e308:5", "1e-320:1e308:7", "0.1:1:3:4", "full:1:2", "nan:1:3", "1:inf:3", "0:1:1e3"),
    *(f"1:{'9' * 400}:3", f"1:2:{'9' * 400}", "1:2:1000", "0.1:1:nan"),
)
WORDS = (
    *("", " ", "none", "full", "start", "mlp", "convnet", "resnet18", "digits", "cifar10"),
    *("group", "layer", "float32", "float64", "cosine", "step", "cpu", "cuda", "cuda:99", "meta"),
    *(
        "ray",
        "local",
        "quick",
        "laptop",
        "periods",
        "epochs",
        "lr",
        "weight-decay",
        "width",
        "seed",
    ),
    *(
        "bf16",
        "tf32",
        "é",
        "研究",
        "\0",
        "a\0b",
        "\ud800",
        "\udcff",
        "\u202e",
        "a\nb",
        "\r",
        "\x1b[2J",
    ),
    *(
        "x" * 300,
        "x" * 5_000,
        "--",
        "-",
        "-x",
        "=",
        "--lr",
        "@file",
        "%s",
        "%(prog)s",
        "{}",
        "*",
        "~",
    ),
)
PATHS = (
    *("run", "grid", "log.csv", "odd.csv", "empty", "file", "new", "new/deep/er", "file/below"),
    *("grid/a", "dangling", "loop", ".", "..", "/dev/null", "/dev/null/x", "nowhere/x/y"),
    *("p.png", "p.svg", "p.html", "p.pdf", "run/steps", "run/run.json", "noentry/x"),
)
TARGETS = ("math:sin", "os:getcwd", "nowhere:f", "os:", ":f", "..:f", "a b:c", "os.path:join.x")


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with runs, tables and odd files in it, and a lab that only claims folders."""
    here = tmp_path / "a" / "b"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    for name in ("run", "grid/a", "grid/b"):
        command_line.main(["train", "--lr", "0.3", "--steps", "9", "--width", "4", "--out", name])
    frame = sawtooth_table(rows=40)
    frame.to_csv("log.csv", index=False)
    frame[["step", "loss"]].to_csv("odd.csv")
    Path("empty").mkdir()
    Path("file").write_text("text")
    Path("dangling").symlink_to("nowhere")
    Path("loop").symlink_to("loop")
    stand_in(monkeypatch)
    return tmp_path


def stand_in(monkeypatch):
    """Nothing is trained, painted or started from here on; the parser is made once."""
    monkeypatch.setattr(command_line, "parser", cache(command_line.parser))
    monkeypatch.setattr(forkserver, "start", lambda *_: None)
    monkeypatch.setattr(training, "under_way", lambda *_, **__: None)
    for module in ("limitcycle.cli.train", "limitcycle.lab.map"):
        monkeypatch.setattr(f"{module}.sweep", claimed)
    monkeypatch.setattr("limitcycle.cli.train.sweep_on", lambda _, jobs, **__: stopped(jobs))
    entry = {"number": 7, "scale": "quick", "claims": []}
    monkeypatch.setattr("limitcycle.cli.paper.make_entries", lambda *_: iter([entry]))
    monkeypatch.setattr("limitcycle.cli.paper.write_results", lambda *_: [Path("index.html")])
    monkeypatch.setattr("limitcycle.cli.paper.rehearse", lambda *_: iter(()))
    for name in ("save_map", "write_map_page"):
        monkeypatch.setattr(f"limitcycle.cli.map.{name}", lambda *_, **__: Path("map"))
    monkeypatch.setattr("limitcycle.cli.live.serve", lambda *_, **__: None)
    monkeypatch.setattr("limitcycle.report.page.packed_plotly", lambda: "")
    monkeypatch.setattr("limitcycle.report.pictures._paint", lambda figure, path, width: path)


def stopped(jobs):
    return [Outcome("stopped")] * len(jobs)


def claimed(jobs, *, threads=None, settings=None, **_):
    """What `sweep` does of the first jobs, in this process."""
    outcomes = stopped(jobs)
    for at, job in enumerate(jobs[:2]):
        try:
            training.train(*job, threads=threads, **(settings or {}))
        except Exception as problem:
            outcomes[at] = parallel._failed(problem)
            assert "unforeseen" not in outcomes[at].problem, outcomes[at].problem
    return outcomes


def options_of(verb):
    """The options of a verb, as its parser has them."""
    (verbs,) = (
        action
        for action in command_line.parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    return [action for action in verbs.choices[verb]._actions if action.option_strings]


class Typist:
    """Types command lines, always the same ones."""

    def __init__(self, seed):
        self._random = random.Random(seed)
        self._options = {verb: options_of(verb) for verb in VERBS}

    def line(self):
        pick = self._random
        verb = pick.choices([*self._options, "", "fly"], [2, 30, 12, 4, 1, 12, 12, 4, 1, 1])[0]
        words = [verb]
        if verb in ("report", "diagnose", "live"):
            words += pick.choices(PATHS, k=pick.choice((1, 1, 2)))
        if verb == "probe":
            words.append(pick.choice((*TARGETS, self.value())))
        if verb == "paper" and pick.random() < 0.9:
            words.append(pick.choice(("7", "20", "0", self.value())))
        if verb in ("train", "map"):
            words += ["--out", pick.choice((*PATHS, pick.choice(WORDS)))]
        for action in pick.choices(
            self._options.get(verb) or [None], k=pick.choice((0, 1, 1, 2, 5))
        ):
            words += self.option(action)
        if pick.random() < 0.05:
            words.insert(pick.randrange(len(words) + 1), self.value())
        return words

    def option(self, action):
        if action is None or self._random.random() < 0.02:
            return [self.value()]
        name = self._random.choice(action.option_strings)
        if action.nargs == 0:
            return [name]
        values = [self.value(action.dest) for _ in range(3 if action.nargs else 1)]
        if self._random.random() < 0.2:
            return [f"{name}={values[0]}"]
        return [name, *values[: self._random.choice((0, 1, 1, 1, 1, 2, 3))]]

    def value(self, dest=""):
        if dest in ("out", "book", "png", "storage", "start_from"):
            return self._random.choice(PATHS)
        kind = self._random.choices((NUMBERS, RANGES, WORDS, PATHS), (8, 2, 4, 1))[0]
        return self._random.choice(kind)


def everything_below(folder):
    return {entry.path for entry in entries(folder)}


def entries(folder):
    with os.scandir(folder) as inside:
        for entry in inside:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                yield from entries(entry)


def obeys(line, folder, capsys):
    """Run a command line; what it does wrong, or nothing."""
    before = everything_below(folder)
    capsys.readouterr()
    try:
        code = command_line.main(line)
    except SystemExit as end:
        code = end.code or 0
    except BaseException as problem:
        return f"{type(problem).__name__}: {problem}"
    said = capsys.readouterr().err
    if code not in (0, 1, 2, 130):
        return f"exit code {code}"
    if "Traceback" in said:
        return said
    if code == 2 and len(said.splitlines()) != 1:
        return f"{len(said.splitlines())} lines: {said!r}"
    left = everything_below(folder) - before if code == 2 else set()
    return f"left {left}" if left else ""


def obeyed(count, seed, folder, capsys):
    typist, wrong = Typist(seed), {}
    home, modules = Path.cwd(), list(sys.path)
    for _ in range(count):
        line = typist.line()
        if fault := obeys(line, folder, capsys):
            wrong[str([word[:60] for word in line])] = fault[:600]
        os.chdir(home)
        sys.path[:] = modules
        if len(wrong) >= 20:
            break
    return wrong


def test_no_command_line_breaks_the_command(workplace, capsys):
    assert obeyed(FAST, SEED, workplace, capsys) == {}


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_no_command_line_of_thousands_breaks_the_command(part, workplace, capsys):
    assert obeyed(COUNT, SEED + part + 1, workplace, capsys) == {}
