"""The painter for paper, continued: coloured squares, the bar beside them, words upon them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, LogNorm, to_rgb
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from limitcycle.reading.clock import Array
from limitcycle.report.figure import Cells, Mark, Scale, Text
from limitcycle.report.scales import bar_ticks, shares, stops_of


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
    """Draw the bar of the panel's logarithmic scale, if it has one."""
    scales = [mark.scale for mark in marks if isinstance(mark, Cells) and mark.scale.log]
    if not scales:
        return
    scale, said = scales[-1], dict(bar_ticks(scales[-1]))
    norm = LogNorm(scale.stops[0][0], scale.stops[-1][0])
    colours = LinearSegmentedColormap.from_list("scale", stops_of(scale))
    bar = part.colorbar(ScalarMappable(norm, colours), ax=on, aspect=24, pad=0.03)
    bar.outline.set_linewidth(0.4)
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_locator(FixedLocator(list(said)))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: said.get(value, "")))


def mixed(scale: Scale, values: Array) -> Array:
    """The colours of ``values``, shape (…, 3), red, green, blue from 0 to 1; NaN becomes white."""
    places = [at for at, _ in stops_of(scale)]
    at = shares(scale, np.where(np.isfinite(values), values, scale.stops[0][0]))
    stops = np.array([to_rgb(colour) for _, colour in scale.stops])
    found = np.stack([np.interp(at, places, stops[:, channel]) for channel in range(3)], axis=-1)
    return np.where(np.isfinite(values)[..., None], found, 1.0)
