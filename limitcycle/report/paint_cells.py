"""The painter for paper, continued: coloured squares, the bar beside them, words upon them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, LogNorm, to_rgb
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from limitcycle.report.figure import Array, Cells, Mark, Scale, Text


def paint_cells(on: Any, mark: Cells) -> None:
    """Draw the squares, each as a shape of its own: an SVG stays sharp."""
    rows, columns = mark.grid.shape
    known = np.isfinite(mark.grid)
    colours = np.concatenate(
        [mixed(mark.scale, mark.grid), np.where(known, mark.opacity, 0.0)[..., None]], axis=-1
    )
    across, up = np.arange(columns + 1) - 0.5, np.arange(rows + 1) - 0.5
    on.pcolormesh(across, up, colours, antialiased=False, linewidth=0, zorder=0.5)
    for side in on.spines.values():
        side.set_visible(True)


def paint_text(on: Any, mark: Text, text: str) -> None:
    """Draw the words, legible on any ground."""
    turned: dict[str, Any] = {"rotation": 90} if mark.upright else {}
    if mark.slope:
        turned = {"rotation": math.degrees(math.atan(mark.slope)), "rotation_mode": "anchor"}
        turned["transform_rotates_text"] = True
    halo = [withStroke(linewidth=1.4, foreground="white", alpha=0.75)]
    on.text(mark.x, mark.y, text, ha="center", va="center", size=mark.size, color=mark.colour,
            weight="bold" if mark.bold else "normal", path_effects=halo, linespacing=1.05,
            **turned)  # fmt: skip


def paint_bar(part: Any, on: Any, marks: Sequence[Mark]) -> None:
    """Draw the bar of the last squares whose scale asks for one; such scales are logarithmic."""
    scales = [mark.scale for mark in marks if isinstance(mark, Cells) and mark.scale.label]
    if not scales:
        return
    scale, low, high = scales[-1], scales[-1].stops[0][0], scales[-1].stops[-1][0]
    norm = LogNorm(low, high)
    places = _shares(scale, np.array([value for value, _ in scale.stops]))
    stops = [(float(at), colour) for at, (_, colour) in zip(places, scale.stops, strict=True)]
    colours = LinearSegmentedColormap.from_list("scale", stops)
    bar = part.colorbar(ScalarMappable(norm, colours), ax=on, aspect=24, pad=0.03)
    bar.outline.set_linewidth(0.4)
    bar.ax.set_title(scale.label, loc="left", fontsize=5.5)
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_locator(FixedLocator(round_values(low, high)))
    form = (lambda v, _: f"{100 * v:g}") if scale.percent else (lambda v, _: f"{v:g}")
    bar.ax.yaxis.set_major_formatter(FuncFormatter(form))


def mixed(scale: Scale, values: Array) -> Array:
    """The colours of ``values``, shape (…, 3), red, green, blue from 0 to 1; NaN becomes white."""
    places = _shares(scale, np.array([value for value, _ in scale.stops]))
    at = _shares(scale, np.where(np.isfinite(values), values, scale.stops[0][0]))
    stops = np.array([to_rgb(colour) for _, colour in scale.stops])
    found = np.stack([np.interp(at, places, stops[:, channel]) for channel in range(3)], axis=-1)
    return np.where(np.isfinite(values)[..., None], found, 1.0)


def _shares(scale: Scale, values: Array) -> Array:
    """How far ``values`` lie from the first stop (0) to the last (1)."""
    ends = np.array([scale.stops[0][0], scale.stops[-1][0]])
    if scale.log:
        values, ends = np.log(np.maximum(values, ends[0])), np.log(ends)
    return np.asarray((values - ends[0]) / (ends[1] - ends[0]))


def round_values(low: float, high: float) -> list[float]:
    """A few round values from ``low`` > 0 to ``high`` for a logarithmic scale."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found: list[float] = []
    for leading in ((1,), (1, 3), (1, 2, 5), range(1, 10)):
        each = [float(f"{lead}e{at}") for at in decades for lead in leading]
        found = [value for value in each if low * 0.999 <= value <= high * 1.001]
        if len(found) >= 3:
            break
    return found
