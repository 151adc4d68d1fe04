"""A watch that is shown while it runs, and bars: what a cell is given, and that nothing breaks."""

import sys
import types

import pytest

import limitcycle as lc
from limitcycle.lab import Progress
from limitcycle.notebook import LiveCard, bar
from limitcycle.notebook.cell import Cell
from tests.notebook.test_cards import loop, watched


class Screen(Cell):
    """A cell that keeps what it was given."""

    shows = True

    def __init__(self, problem=None):
        super().__init__()
        self.written, self._problem = [], problem

    def write(self, html):
        if self._problem:
            raise self._problem
        self.written.append(html)


class Followed:
    """A watch at its seventh step."""

    step = 7

    def run_data(self):
        return lc.reading.RunData({"step": [0, 1], "loss": [1.0, 0.5], "norm": [2.0, 1.9]})


def test_the_card_is_written_now_and_then_and_at_the_end():
    now, screen, watch = [0.0], Screen(), Followed()
    live = LiveCard(watch, 2.0, lambda: now[0], screen)
    for now[0] in (0.5, 1.9, 2.0, 2.1, 3.9, 4.1):
        live.look()
    assert len(screen.written) == 2
    live.last()
    live.look()
    live.last()
    assert len(screen.written) == 3, "it looks no more"
    assert "step 7" in screen.written[-1]


def test_slow_reading_is_done_less_often():
    now, watch = [0.0], Followed()
    screen = Screen()
    screen.write = lambda _: now.__setitem__(0, now[0] + 1.0)  # a second for a look
    live = LiveCard(watch, 2.0, lambda: now[0], screen)
    now[0] = 2.0
    live.look()
    assert now[0] == 3.0
    now[0] = 22.0  # 19 seconds later: it has to be 20
    live.look()
    assert now[0] == 22.0
    now[0] = 23.0
    live.look()
    assert now[0] == 24.0


def test_a_cell_that_is_gone_ends_no_training():
    now, watch = [0.0], Followed()
    live = LiveCard(watch, 2.0, lambda: now[0], Screen(OSError("gone")))
    now[0] = 3.0
    live.look()
    live.look()
    live.last()


@pytest.fixture
def kernel(monkeypatch):
    """A notebook: IPython that says it is one, and keeps what is displayed."""
    shown = []

    class Handle:
        def update(self, each):
            shown.append(each)

    def display(each, display_id):
        assert display_id
        shown.append(each)
        return Handle()

    module = types.ModuleType("IPython")
    module.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    module.display = types.SimpleNamespace(HTML=str, display=display)
    monkeypatch.setitem(sys.modules, "IPython", module)
    return shown


def test_a_watch_is_shown_in_a_notebook_and_keeps_all_that_is_logged(kernel, capsys, monkeypatch):
    monkeypatch.setattr("limitcycle.notebook.live.SHARE", 1e9)  # look at every step
    watch, _, train = loop()
    watch.show(seconds=0.0)
    train(5)
    watch.close()
    assert len(kernel) >= 4
    assert "step 5" in kernel[-1]
    assert watch.steps["loss"].notna().all() and len(watch.steps) == 5
    assert capsys.readouterr().err == ""
    before = len(kernel)
    train(1)
    assert len(kernel) == before, "a closed watch looks no more"


def test_outside_of_a_notebook_nothing_is_shown(capsys):
    watch, _ = watched(2)
    watch.show()
    watch.close()
    assert capsys.readouterr().out == ""


def test_a_bar_moves_in_a_notebook(kernel, tmp_path):
    lc.train(lc.Run(steps=40, width=8), tmp_path / "run", progress=True)
    assert 'value="40" max="40"' in kernel[-1]
    assert "run: 40 of 40 steps" in kernel[-1]


def test_a_bar_is_a_line_in_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    show = bar("mine")
    show(Progress(10, 20, 0.5, 3.0, 0.01))
    show(Progress(20, 20, 0.25, 3.0, 0.01))
    said = capsys.readouterr().err
    assert said.endswith("mine: 20 of 20 steps, loss 2.50e-01, ρ 3, η/ρ² 1.00e-02\n")


def test_where_nobody_looks_there_is_no_bar(tmp_path, capsys):
    lc.train(lc.Run(steps=10, width=8), tmp_path / "run", progress=True)
    assert capsys.readouterr().err == ""
