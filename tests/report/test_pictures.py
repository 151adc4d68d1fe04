import dataclasses
import struct
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from limitcycle.errors import UserError
from limitcycle.report import save_pictures


def size(png):
    return struct.unpack(">II", png.read_bytes()[16:24])


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
