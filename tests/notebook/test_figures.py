"""`plot` and `write_report` take all that a notebook's user has in hand."""

import sys

import pytest
from matplotlib.figure import Figure

import limitcycle as lc
from limitcycle.errors import UserError
from tests.notebook.test_cards import watched
from tests.report.conftest import sawtooth_run, sawtooth_table


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    run = lc.train(lc.Run(steps=40, width=8), folder / "one")
    lc.train(lc.Run(steps=40, width=8, lr=0.3), folder / "two")
    watch, _ = watched(30)
    return {
        "run": run,
        "folder": run.path,
        "folders": folder,
        "text": str(folder),
        "table": sawtooth_table(600, 200),
        "bare": sawtooth_table(600, 200)[["step", "loss", "norm"]],
        "mapping": {"step": [0, 1, 2], "loss": [1.0, 0.5, 0.2], "norm": [3.0, 2.9, 2.8]},
        "watch": watch,
        "list": [run, sawtooth_table(600, 200), sawtooth_run("three")],
    }


KINDS = ("run", "folder", "folders", "text", "table", "bare", "mapping", "watch", "list")


@pytest.mark.parametrize("kind", KINDS)
def test_everything_is_drawn(given, kind):
    figure = lc.plot(given[kind])
    assert isinstance(figure, Figure)
    assert len({on.get_title(loc="left") for on in figure.axes}) == 3
    assert figure.axes[0].lines and figure.axes[2].lines
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_a_table_with_a_learning_rate_has_an_effective_one():
    table = sawtooth_table(600, 200).drop(columns=["effective_lr"])
    drawn = lc.plot(table).axes[1].lines[0].get_ydata()
    assert drawn == pytest.approx(table["lr"] / table["norm"] ** 2)


def test_panels_are_chosen(given):
    figure = lc.plot(given["run"], panels=["loss", "test_error", "norm", "phase"], title="mine")
    assert len(figure.axes) == 4


@pytest.mark.parametrize(
    ("what", "options", "said"),
    [
        ([], {}, "the list is empty"),
        (3, {}, "a table is a frame"),
        ("nowhere", {}, "nowhere"),
        ({"step": [0], "loss": [1.0], "norm": [1.0]}, {"panels": ["lost"]}, "no panel 'lost'"),
        ({"step": [0], "loss": [1.0], "norm": [1.0]}, {"panels": []}, "no panel is asked for"),
        ({"step": [0, 1], "loss": [1.0] * 2, "norm": [1.0] * 2}, {"axis": "periods"}, "periods"),
    ],
)
def test_mistakes_are_named(what, options, said):
    with pytest.raises(UserError, match=said):
        lc.plot(what, **options)


def test_without_matplotlib_the_extra_is_named(monkeypatch, given):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "limitcycle.notebook.canvas", raising=False)
    with pytest.raises(UserError, match=r"plot needs matplotlib: pip install 'limitcycle\[report"):
        lc.plot(given["run"])


@pytest.mark.parametrize("kind", ["run", "bare", "watch", "list"])
def test_a_page_is_written(given, kind, tmp_path):
    page = lc.write_report(given[kind], tmp_path / "page.html", title="mine")
    assert page == tmp_path / "page.html"
    assert "mine" in page.read_text()
