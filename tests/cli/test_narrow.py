"""Narrow terminals, and none: what matters most comes first and stays."""

import io

import pandas as pd
import pytest
from rich.console import Console

from limitcycle.cli.atlas import letters, regions
from limitcycle.cli.bars import FittedBars, bars
from limitcycle.cli.demo import table as demo_table
from limitcycle.cli.fitted import Heading, fitted
from limitcycle.cli.paper import _claims
from limitcycle.cli.standing import Standing, every_half_minute
from limitcycle.lab import Plane, Progress
from limitcycle.paper.pages import MARKS
from limitcycle.report import Summary

WIDTHS = (40, 60, 80, 120)
NAMES = ["lr=0.1", "full-batch lr 1", "lr=0.1_weight_decay=0.0001_momentum=0.9_seed=3"]


def console(width, **settings):
    return Console(file=io.StringIO(), width=width, **settings)


def printed(what, width):
    to = console(width)
    to.print(what(to))
    text = to.file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    return text


def together(text):
    return " ".join(text.split())


SUMMARIES = [
    Summary("a", "lr 1, full batch", 1.0, 3, 2630.0, (7e-5, 5.0), 0.008, "periodic: 3 jumps"),
    Summary("b", "lr 100", 100.0, 0, float("nan"), (9e-5, 2.0), 0.237, "stuck at loss 0.75"),
]


@pytest.mark.parametrize("width", WIDTHS)
def test_the_demos_table_keeps_its_verdict(width):
    text = printed(lambda to: demo_table(SUMMARIES, to), width)
    for kept in ("verdict", "periodic: 3 jumps", "stuck at loss 0.75", "100"):
        assert kept in text
    assert ("7e-05" in text) == (width == 120)  # the last column goes first
    assert ("error" in text) == (width >= 60)


@pytest.mark.parametrize("width", WIDTHS)
def test_other_tables_keep_what_matters_most(width):
    claim = {"outcome": "holds", "statement": "the norm falls until training jumps"}
    claim |= {"measured": "3 of 3", "likely": "", "remarks": []}
    text = printed(lambda to: _claims([{"number": 2, "claims": [claim]}], to), width)
    assert MARKS["holds"] in text and "the norm falls until" in together(text)
    cells = pd.DataFrame({"region": ["periodic", "equilibrium"], "product": [1e-3, 1e-4]})
    cells = cells.assign(period_units=2.0, best_test_error=0.01)
    text = printed(lambda to: regions(cells, to), width)
    assert "P periodic" in text and "cells" in text


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("count", [3, 17, 30])
def test_a_map_in_letters_is_not_broken(width, count):
    plane = Plane("lr", "weight_decay", tuple(range(1, count + 1)), (0.1, 0.2), {})
    cells = [
        {"row": row, "column": column, "region": "periodic"}
        for row in range(2)
        for column in range(count)
    ]
    text = printed(lambda to: letters(plane, pd.DataFrame(cells), to.width), width)
    rows = [line for line in text.splitlines() if "P" in line]
    assert [line.count("P") for line in rows] == [count, count]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("names", [NAMES[:1], NAMES])
def test_bars_keep_loss_and_time(width, names):
    to = console(width, force_terminal=True, force_interactive=False)
    clock = iter(range(10_000))
    shown = FittedBars(to)
    shown.get_time = lambda: float(next(clock))
    blank = {"loss": "", "norm": "", "effective_lr": ""}
    shown.add_task("all runs", total=3, **blank)
    for name in names:
        task = shown.add_task(name, total=20_000, **blank)
        said = {"loss": "loss 1.23e-04", "norm": "ρ   6.12", "effective_lr": "η/ρ² 1.00e-03"}
        for step in (1_000, 2_000, 3_000):
            shown.update(task, completed=step, **said)
    lines = printed(lambda _: shown.make_tasks_table(shown.tasks), width).splitlines()
    assert len(lines) == len(names) + 1
    for line, name in zip(lines[1:], names, strict=True):
        assert name[:8] in line and "loss 1.23e-04" in line
        assert "0:0" in line or "0:1" in line or "-:--:--" in line  # the time that is left
    whole = ["3000/20000", "ρ   6.12", "η/ρ² 1.00e-03"]
    if width == 120 and names == NAMES[:1]:
        assert all(each in lines[1] for each in whole)


@pytest.mark.parametrize("width", range(20, 200, 7))
def test_a_table_shows_the_first_columns_whole(width):
    headings = [Heading("name", "left"), Heading("what", "left", least=10)]
    headings += [Heading(f"number {at}") for at in range(6)]
    rows = [["a", "words and words and more words", *"123456"]]
    text = printed(lambda to: fitted(headings, rows, to), width)
    shown = [at for at in range(6) if f"number {at}" in text]
    assert shown == list(range(len(shown))) and "what" in text and "…" not in text


def progress(step, total=20_000, loss=1e-3):
    return Progress(step=step, total=total, loss=loss, norm=1.0, effective_lr=0.1)


def test_where_there_is_no_terminal_a_line_comes_every_half_minute():
    """By a clock that the test winds: three half minutes, of which the work sleeps through two."""
    waited, spoken = [], []

    def pause(seconds):
        waited.append(seconds)
        return len(waited) > 3

    with every_half_minute(lambda: f"line {len(spoken)}", spoken.append, pause):
        pass
    assert waited == [30.0] * 4
    assert spoken == ["line 0", "line 1", "line 2"]


def test_the_line_ends_with_the_work_even_if_that_fails():
    spoken = []
    with pytest.raises(ZeroDivisionError), every_half_minute(lambda: "", spoken.append):
        _ = 1 / 0
    assert spoken == []


def test_the_line_says_how_far_it_is():
    now = [0.0]
    one = Standing(["mine"], lambda: now[0])
    assert one.line() == "starting …"
    one.hear(0, progress(5_000))  # it goes on from there
    now[0] = 60.0
    one.hear(0, progress(10_000))
    assert one.line() == "step 10,000 of 20,000, loss 1.00e-03, about 2 min left"
    grid = Standing(["a", "b", "c", "d"], lambda: now[0])
    now[0] = 70.0
    grid.hear(0, progress(0, 100))
    grid.hear(0, progress(100, 100))
    assert grid.line().startswith("1 of 4 runs done, about 30 s left; a: step 100 of 100")


def test_bars_speak_where_nobody_looks(monkeypatch):
    """Train, grids, maps, the paper's runs and the demo all go through these bars."""
    told = []

    class AtOnce:
        def __init__(self, line, tell):
            self.line, self.tell = line, tell

        def __enter__(self):
            told.append(self)

        def __exit__(self, *_):
            self.tell(self.line())

    monkeypatch.setattr("limitcycle.cli.bars.every_half_minute", AtOnce)
    piped, terminal = console(80), console(80, force_terminal=True)
    with bars(["a", "b"], piped, overall=True) as update:
        update(1, progress(10))
    assert "0 of 2 runs done" in piped.file.getvalue()
    with bars(["a"], terminal) as update:
        update(0, progress(10))
    assert len(told) == 1 and "loss 1.00e-03" in terminal.file.getvalue()
