"""What a notebook's cell shows: short, escaped, with the curves and the advice that are there."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import torch
from torch import nn

import limitcycle as lc
from limitcycle.notebook.picture import COLUMNS, WIDTH, Curve, picture
from tests.report.conftest import sawtooth_run, sawtooth_table

TAME = 300  # characters of a short repr


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    run = lc.Run(steps=40, width=8, lr=0.3)
    return lc.train(run, tmp_path_factory.mktemp("runs") / "a<b")


def loop(**given):
    """A watch, its model, and a function that makes so many steps of the usual order."""
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1)
    watch = lc.watch(model, optimizer, quiet=True, **given)

    def train(steps):
        for _ in range(steps):
            optimizer.zero_grad()
            loss = model(torch.randn(16, 6)).square().mean()
            loss.backward()
            optimizer.step()
            watch.log(loss=loss)

    return watch, model, train


def watched(steps=5, **given):
    watch, model, train = loop(**given)
    train(steps)
    return watch, model


def elements(html):
    """The card as a tree; it is well-formed, so nothing in it was left unescaped."""
    return ElementTree.fromstring(html)


def test_a_run_shows_its_headline_its_curves_and_its_advice(recorded):
    html = recorded._repr_html_()
    found = lc.diagnose(recorded)
    tree = elements(html)
    said = "".join(tree.itertext())
    assert f"run a<b: {found.headline}" in said
    assert found.advice.text in said
    assert len(tree.findall(".//polyline")) == 3
    assert "η/ρ²" in said


def test_a_periodic_diagnosis_marks_its_jumps():
    found = lc.diagnose(sawtooth_table(), lr=0.3, weight_decay=0.005)
    tree = elements(found._repr_html_())
    assert len(tree.findall(".//line")) == len(found.events) - 1  # the picture begins behind one
    assert found.advice.code in "".join(tree.itertext())


def test_symmetries_show_how_many_and_all_of_them():
    watch, model = watched()
    watch.close()
    found = lc.symmetries(model, torch.randn(16, 6))
    said = "".join(elements(found._repr_html_()).itertext())
    assert f"{len(found.scale_invariant)} of" in said
    assert "0.weight" in said


def test_a_watch_shows_itself_before_during_and_after():
    fresh, _ = watched(0)
    assert "step 0" in "".join(elements(fresh._repr_html_()).itertext())
    running, _ = watched(5)
    assert "step 5" in "".join(elements(running._repr_html_()).itertext())
    running.close()
    assert "step 5" in "".join(elements(running._repr_html_()).itertext())


def test_a_damaged_run_says_so_in_its_cell(recorded, tmp_path):
    import shutil

    shutil.copytree(recorded.path, tmp_path / "copy")
    run = lc.load(tmp_path / "copy")
    for part in (tmp_path / "copy" / "steps").glob("*.parquet"):
        part.write_bytes(b"no parquet")
    assert "cannot be read" in run._repr_html_() or "damaged" in run._repr_html_()
    assert len(repr(run)) < TAME


def test_reprs_are_short_and_say_what_matters(recorded):
    found = lc.diagnose(recorded)
    watch, model = watched()
    symmetries = lc.symmetries(model, torch.randn(16, 6))
    for each in (recorded, found, watch, symmetries):
        assert len(repr(each)) < TAME and "\n" not in repr(each)
    assert "done, step 40" in repr(recorded)
    assert found.headline in repr(found)
    assert "running, step 5" in repr(watch)
    watch.close()
    assert "done, step 5" in repr(watch)
    assert repr(symmetries).startswith(f"<Symmetries: {len(symmetries.scale_invariant)} of ")


def test_help_begins_with_what_it_does():
    import pydoc

    text = pydoc.plain(pydoc.render_doc(lc.diagnose))
    assert text.index("Say what a run is doing") < 500


def test_a_picture_keeps_the_extremes_of_a_long_series():
    values = np.ones(100_000)
    values[54_321] = 1e6
    svg = picture(np.arange(100_000.0), [Curve("loss", values, "red")], [50_000.0])
    points = re.search(r'points="([^"]*)"', svg)[1].split()
    assert len(points) <= 2 * COLUMNS
    across, up = zip(*(map(float, point.split(",")) for point in points), strict=True)
    assert min(up) < max(up) and max(across) <= WIDTH
    highest = across[int(np.argmin(up))]
    assert abs(highest - (76 + 0.54321 * (WIDTH - 78))) < 3


@pytest.mark.parametrize("values", [[], [1.0], [np.nan, np.nan], [0.0, -1.0], [np.inf, 1.0]])
def test_a_picture_of_nothing_is_none(values):
    steps = np.arange(float(len(values)))
    assert picture(steps, [Curve("loss", np.array(values, dtype=float), "red")]) == ""


def test_names_with_markup_stay_text():
    evil = sawtooth_run("<img src=x onerror=alert(1)>")
    from limitcycle.notebook import run_card

    assert "<img" not in run_card(evil)
