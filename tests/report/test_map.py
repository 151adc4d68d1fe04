"""Maps as figures: regions and their words, lines of constant product, what is missing is pale."""

import json
import math
import xml.etree.ElementTree as ET

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib.colors import to_rgb

from limitcycle.errors import UserError
from limitcycle.lab import plane_of
from limitcycle.lab.plane import stages
from limitcycle.report import save_map, write_map_page
from limitcycle.report.figure import Cells, Line, Points, Scale, Text
from limitcycle.report.map import COLOURS, footnote, map_figure
from limitcycle.report.paint import STYLE, canvas
from limitcycle.report.paint_cells import mixed
from limitcycle.report.regions import borders, place, regions
from limitcycle.report.scales import round_values
from limitcycle.report.ticks import position, product_lines, ticks

AXES = {
    "lr": np.geomspace(0.03, 30, 12).tolist(),
    "weight_decay": np.geomspace(3e-4, 0.3, 12).tolist(),
}


def marks_of(panel, kind):
    return [mark for mark in panel.marks if isinstance(mark, kind)]


@pytest.fixture(scope="module")
def plane():
    return plane_of(AXES)


def test_each_region_bears_its_word_inside_of_it(plane, mapped):
    figure = map_figure(plane, mapped(plane))
    assert [panel.name for panel in figure.panels] == ["regions", "period_units", "best_test_error"]
    words = {mark.text.replace("\n", " "): mark for mark in marks_of(figure.panels[0], Text)}
    in_region = {
        "not in the budget": lambda product: product <= 5e-4,
        "periodic": lambda product: 5e-4 < product < 5e-2,
        "stuck": lambda product: product >= 5e-2,
    }
    for word in ("periodic", "stuck", "not in the budget"):
        at = words[word]
        product = plane.xs[round(at.x)] * plane.ys[round(at.y)]
        assert in_region[word](product)
    labels = [key.label for key in figure.keys]
    counts = mapped(plane)["region"].value_counts()
    assert f"periodic ({counts['periodic']})" in labels
    assert f"refused ({counts['refused']})" in labels and labels[-1] == "constant ηλ"


def test_the_painted_picture_contains_the_words(plane, mapped):
    with matplotlib.rc_context(STYLE):
        sheet = canvas([map_figure(plane, mapped(plane))], 7.4)
    drawn = {text.get_text().replace("\n", " ") for text in sheet.axes[0].texts}
    assert {"periodic", "stuck", "not in the budget", "10⁻³"} <= drawn


def test_numbers_are_coloured_where_they_are_known(plane, mapped):
    table = mapped(plane)
    figure = map_figure(plane, table)
    for panel, name in zip(figure.panels[1:], ("period_units", "best_test_error"), strict=True):
        ground, values = marks_of(panel, Cells)
        expected = table[name].to_numpy().reshape(12, 12)
        np.testing.assert_allclose(values.grid, expected)
        assert np.isfinite(ground.grid).all()
        low, high = values.scale.stops[0][0], values.scale.stops[-1][0]
        assert low == pytest.approx(np.nanmin(expected))
        assert high == pytest.approx(np.nanmax(expected))


def test_what_is_missing_is_pale_in_the_nearest_colour(plane, mapped):
    first = set(stages(12, 12)[0])
    table = mapped(plane, lambda cell: (cell.column, cell.row) in first)
    figure = map_figure(plane, table)
    assert "of 144 cells" in figure.title
    pale, made = marks_of(figure.panels[0], Cells)
    assert pale.opacity < 0.5 < made.opacity == 1
    corner = pale.grid[0, 0]
    assert corner == made.grid[1, 1]  # the first stage's cell in that corner
    assert (np.isfinite(pale.grid) ^ np.isfinite(made.grid)).all()
    assert "pale: not made yet" in footnote(plane, table)


def test_lines_of_constant_product_are_that(plane):
    lines = product_lines(plane)
    assert [line.text for line in lines] == ["10⁻⁵", "10⁻⁴", "10⁻³", "10⁻²", "10⁻¹"]
    logs = {name: np.log(values) for name, values in AXES.items()}
    index = np.arange(12)
    for line, exponent in zip(lines, range(-5, 0), strict=True):
        assert len(line.x) > 10
        x = np.polyval(np.polyfit(index, logs["lr"], 1), line.x)
        y = np.polyval(np.polyfit(index, logs["weight_decay"], 1), line.y)
        np.testing.assert_allclose((x + y) / math.log(10), exponent, atol=1e-9)


def test_other_planes_have_no_such_lines():
    assert product_lines(plane_of({"lr": [0.1, 1.0], "momentum": [0.0, 0.9]})) == []


@given(st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=20, unique=True).map(sorted))
def test_a_value_lies_where_its_cell_is(values):
    distinct = np.diff(np.log(values)) > 1e-9
    if distinct.all():
        np.testing.assert_allclose(position(values, np.array(values)), np.arange(len(values)),
                                   atol=1e-6)  # fmt: skip


def test_a_zero_has_a_cell_but_no_place_among_ratios():
    found = position([0.0, 0.01, 0.1], np.array([0.0, 0.01, 0.1]))
    assert np.isnan(found[0]) and found[1:].tolist() == [1.0, 2.0]


def test_ticks_say_round_numbers_or_all_values():
    assert [text for _, text in ticks(AXES["lr"])] == ["0.1", "1", "10"]
    assert ticks([32, 128, None]) == ((0.0, "32"), (1.0, "128"), (2.0, "none"))
    assert ticks(["batch", "group"]) == ((0.0, "batch"), (1.0, "group"))
    assert len(ticks([0.1 * at for at in range(1, 41)])) < 12


words = hnp.arrays("U9", hnp.array_shapes(min_dims=2, max_dims=2, max_side=9),
                   elements=st.sampled_from(["stuck", "periodic", ""]))  # fmt: skip


@given(words)
def test_regions_part_the_plane(words):
    found = regions(words)
    covered = sum((region.inside.astype(int) for region in found), np.zeros(words.shape, int))
    assert ((covered == 1) == (words != "")).all()
    for region in found:
        assert (words[region.inside] == region.word).all()
    sizes = [region.inside.sum() for region in found]
    assert sizes == sorted(sizes, reverse=True)


@given(words)
def test_borders_are_where_neighbours_differ(words):
    x, y = borders(words)
    pairs = (words[:, 1:] != words[:, :-1]).sum() + (words[1:] != words[:-1]).sum()
    assert len(x) == len(y) == 3 * pairs


@settings(deadline=None)
@given(words, st.floats(0.1, 0.9), st.floats(0.3, 1.2))
def test_a_word_never_leaves_its_region(words, width, height):
    for region in regions(words):
        found = place(region, (width, height))
        if found is None:
            continue
        lines = found.text.split("\n")
        length, thickness = max(map(len, lines)) * width, len(lines) * height
        box = (length, thickness)
        if found.upright:
            box = (thickness * width / height, length * height / width)
        for x in np.linspace(found.x - box[0] / 2 + 0.1, found.x + box[0] / 2 - 0.1, 20):
            for y in np.linspace(found.y - box[1] / 2 + 0.1, found.y + box[1] / 2 - 0.1, 20):
                assert words[round(y), round(x)] == region.word


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_same_map_gives_the_same_bytes(tmp_path, suffix, mapped):
    small = plane_of({name: values[::4] for name, values in AXES.items()})
    paths = [save_map(small, mapped(small), tmp_path / f"{name}.{suffix}") for name in "ab"]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    if suffix == "svg":
        ET.parse(paths[0])


@pytest.mark.parametrize(
    "axes",
    [
        {"net": ["mlp", "convnet", "resnet18"], "norm": ["batch", "group"]},
        {"batch_size": [32, 128, "full"], "weight_decay": [0.0, 0.01]},
        {"augment": [False, True], "momentum": [0.0, 0.5, 0.9]},
        {"seed": list(range(12)), "lr": [0.1, 1.0]},
        {"lr": [0.1, 1.0], "weight_decay": [0.01, 10.0]},
        {"weight_decay": [0.001, 0.01], "lr": [0.1, 0.5, 1.0]},
    ],
)
def test_any_plane_can_be_drawn(axes, tmp_path, mapped):
    plane = plane_of({**axes, "test_size": 100})
    path = save_map(plane, mapped(plane), tmp_path / "map.png")
    assert path.read_bytes()[:4] == b"\x89PNG"


def test_a_plane_of_which_nothing_is_made_can_be_drawn(plane, tmp_path, mapped):
    save_map(plane, mapped(plane, lambda _cell: False), tmp_path / "map.svg")


def test_no_error_at_all_and_one_value_only_can_be_drawn(tmp_path, mapped):
    plane = plane_of({"lr": [0.1, 1.0], "seed": [0, 1]})
    for error in (0.0, 0.5):
        table = mapped(plane).assign(best_test_error=error, period_units=1.0)
        save_map(plane, table, tmp_path / f"{error}.svg")


def test_cells_without_a_run_are_crossed_out_with_the_reason(plane, mapped):
    table = mapped(plane)
    crosses = marks_of(map_figure(plane, table).panels[0], Points)[0]
    assert len(crosses.x) == (table["region"] == "refused").sum() > 0
    assert "below 1" in footnote(plane, table)


def test_colours_are_mixed_between_stops():
    scale = Scale(((0.01, "#000000"), (0.1, "#ffffff"), (1.0, "#ff0000")), log=True)
    found = mixed(scale, np.array([0.01, 0.1, 1.0, 10**-1.5, 5.0, np.nan]))
    np.testing.assert_allclose(found[0], 0, atol=1e-12)
    np.testing.assert_allclose(found[1], 1)
    np.testing.assert_allclose(found[2], to_rgb("#ff0000"), atol=1e-12)
    np.testing.assert_allclose(found[3], 0.5)
    np.testing.assert_allclose(found[4], to_rgb("#ff0000"), atol=1e-12)
    np.testing.assert_allclose(found[5], 1)


@given(st.floats(1e-6, 1e3), st.floats(1.2, 1e6))
def test_bars_have_a_few_round_values_within(low, ratio):
    found = round_values(low, low * ratio)
    assert all(low * 0.998 <= value <= low * ratio * 1.002 for value in found)
    assert len(found) <= 16


def test_lines_are_named_along_themselves(plane, mapped):
    panel = map_figure(plane, mapped(plane)).panels[1]
    named = {mark.text for mark in marks_of(panel, Text)}
    drawn = [mark for mark in marks_of(panel, Line) if mark.label.startswith("ηλ")]
    assert len(drawn) == 5 and named <= {mark.label[5:] for mark in drawn} and len(named) >= 3


@pytest.mark.parametrize("name", ["map.pdf", "map", "map.html"])
def test_another_suffix_is_refused(plane, tmp_path, name, mapped):
    with pytest.raises(UserError, match=r"ends in \.png or \.svg"):
        save_map(plane, mapped(plane), tmp_path / name)


def test_every_label_has_a_colour():
    from limitcycle.reading import LABELS

    assert set(LABELS) < set(COLOURS)


def test_the_page_tells_what_every_cell_is_and_nothing_else_runs_in_it(plane, tmp_path, mapped):
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    table = mapped(plane)
    table.loc[3, "reason"] = evil
    text = write_map_page(plane, table, tmp_path / "map.html").read_text(encoding="utf-8")
    assert "<img" not in text and "alert(1)</script>" not in text
    assert "default-src 'none'" in text and "<link" not in text and "<script src" not in text
    start = text.index('id="limitcycle-data">') + len('id="limitcycle-data">')
    data = json.loads(text[start : text.index("</script>", start)])
    assert [panel["name"] for panel in data["panels"]] == [
        "regions",
        "period_units",
        "best_test_error",
    ]
    squares = [trace for trace in data["panels"][0]["traces"] if trace["type"] == "heatmap"][-1]
    told = squares["customdata"]
    assert len(told) == 12 and len(told[0]) == 12 and evil in told[0][3]
    assert f"cells/{table.loc[0, 'identity']}" in told[0][0]
    ticks = data["panels"][1]["layout"]["yaxis"]["ticktext"]
    assert ticks == ["0.001", "0.01", "0.1"]  # each panel stands for itself there
