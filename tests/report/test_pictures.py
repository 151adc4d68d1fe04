import dataclasses
import errno
import struct
import xml.etree.ElementTree as ET
from itertools import pairwise

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure as Canvas

from limitcycle.errors import RunError, UserError
from limitcycle.report import save_pictures
from limitcycle.report.figure import Axis, Figure, Line, Panel
from limitcycle.report.fit import NOTE, fit
from limitcycle.report.legend import histories
from limitcycle.report.paint import STYLE, canvas
from limitcycle.report.panels import four_panels
from limitcycle.report.period import one_period


def size(png):
    return struct.unpack(">II", png.read_bytes()[16:24])


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_two_pictures_the_same_bytes_every_time(sawtooth, tmp_path, suffix):
    runs = [sawtooth("a", rows=1_500)]
    first = save_pictures(runs, tmp_path / "one" / f"p.{suffix}")
    again = save_pictures(runs, tmp_path / "two" / f"p.{suffix}")
    assert [path.name for path in first] == [f"p.{suffix}", f"p-period.{suffix}"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]


def test_half_a_page_wide_and_printable(sawtooth, tmp_path):
    four, period = save_pictures([sawtooth()], tmp_path / "p.png")
    assert size(four)[0] == size(period)[0] == 990  # 3.3 inches at 300 dots


def test_an_svg_shows_the_axis_that_was_asked_for(sawtooth, tmp_path):
    pictures = [
        save_pictures([sawtooth(rows=200)], tmp_path / f"{axis}.svg", axis=axis)[0]
        for axis in ("steps", "epochs", "periods")
    ]
    assert len({path.read_bytes() for path in pictures}) == 3
    assert ET.parse(pictures[0]).getroot().tag.endswith("svg")


@pytest.mark.slow
def test_any_name_can_be_drawn(sawtooth, tmp_path):
    names = ["<script>alert(1)</script>", "$x^$ _{", "_hidden", "研究 🙂", "", "long " * 40]
    runs = [sawtooth(name, run=False, rows=200) for name in names]
    for path in save_pictures(runs, tmp_path / "p.svg"):
        ET.parse(path)
    assert save_pictures(runs, tmp_path / "p.png")


@pytest.mark.parametrize("rows", [0, 1])
def test_a_run_that_has_only_begun(sawtooth, tmp_path, rows):
    assert len(save_pictures([sawtooth(rows=rows)], tmp_path / "p.png")) == 1


def test_a_diverged_run(sawtooth, tmp_path):
    run = sawtooth()
    steps = run.steps.copy()
    steps.loc[2_500:, ["loss", "norm", "effective_grad_norm"]] = [np.nan, np.inf, np.inf]
    assert save_pictures([dataclasses.replace(run, steps=steps)], tmp_path / "p.png")


def test_another_suffix_is_refused(sawtooth, tmp_path):
    with pytest.raises(UserError, match=r"p.pdf must end in .png or .svg"):
        save_pictures([sawtooth()], tmp_path / "p.pdf")


def test_a_place_that_cannot_be_written(sawtooth, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        save_pictures([sawtooth()], tmp_path / "file" / "p.png")


def test_upper_case_suffixes(sawtooth, tmp_path):
    first, period = save_pictures([sawtooth()], tmp_path / "p.PNG")
    assert first.read_bytes()[:4] == period.read_bytes()[:4] == b"\x89PNG"


def test_a_norm_so_large_that_the_effective_learning_rate_vanishes(sawtooth, tmp_path):
    run = sawtooth(rows=200)
    steps = run.steps.assign(norm=1e200, effective_lr=0.0, effective_grad_norm=0.0, loss=0.0)
    epochs = pd.DataFrame()
    vanished = dataclasses.replace(run, steps=steps, epochs=epochs)
    assert save_pictures([vanished], tmp_path / "p.png")
    assert save_pictures([vanished], tmp_path / "p.svg")


def test_a_full_disk_leaves_the_picture_that_was_there(sawtooth, tmp_path, monkeypatch):
    (picture,) = save_pictures([sawtooth(rows=200)], tmp_path / "p.png")
    before = picture.read_bytes()

    def full(canvas, path, **_options):
        path.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Canvas, "savefig", full)
    with pytest.raises(RunError, match="No space left"):
        save_pictures([sawtooth(rows=300)], picture)
    assert picture.read_bytes() == before and list(tmp_path.iterdir()) == [picture]


@pytest.fixture
def style():
    with matplotlib.rc_context(STYLE):
        yield


def assert_fits(canvas, width):
    """Once fitted, no tick labels touch, and no label or note leaves the picture."""
    fit(canvas)
    canvas.draw_without_rendering()
    for on in canvas.axes:
        low, high = sorted(on.get_xlim())
        ticks = [t for t in on.xaxis.get_major_ticks() if low <= t.get_loc() <= high]
        boxes = [tick.label1.get_window_extent() for tick in ticks]
        assert all(a.x1 < b.x0 for a, b in pairwise(boxes))
        notes = [text for text in on.texts if text.get_gid() == NOTE]
        assert all(n.get_window_extent().y1 < on.get_window_extent().y0 for n in notes)
        for box in (on.xaxis.label.get_window_extent(), *(n.get_window_extent() for n in notes)):
            assert box.x0 >= 0 and box.x1 <= width * canvas.dpi


@pytest.mark.parametrize("offset", [0, 12_600, 1_234_000])
def test_labels_do_not_collide(sawtooth, style, offset):
    run = sawtooth(rows=6_000, period=600)
    steps = run.steps.assign(step=run.steps["step"] + offset)
    moved = dataclasses.replace(run, steps=steps, run=dataclasses.replace(run.run, momentum=0.9))
    (history,) = histories([moved])
    for figure in (four_panels([history]), one_period(history)):
        assert_fits(canvas([figure], 3.3), 3.3)


def test_ticks_of_a_short_logarithmic_axis_do_not_collide(style):
    x = np.geomspace(0.0041, 0.049, 9)
    axis = Axis("effective learning rate η/ρ²", log=True)
    panel = Panel("phase", "Phase diagram", Axis("y"), (Line(x, x, "#000000"),), axis)
    sheet = canvas([Figure((panel,) * 4, "steps")], 3.3)
    assert_fits(sheet, 3.3)
    assert len([t for t in sheet.axes[0].get_xticks() if 0.0041 < t < 0.049]) >= 2
