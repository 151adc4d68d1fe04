"""A figure as matplotlib's, ready to be shown in a notebook. Imports matplotlib."""

import io
import warnings
from dataclasses import replace
from typing import Any, cast

import matplotlib
from matplotlib.figure import Figure as Canvas

from limitcycle.report.figure import Figure
from limitcycle.report.fit import fit
from limitcycle.report.paint import STYLE, canvas

DOTS_PER_INCH = 150


def canvas_of(figure: Figure, width: float, columns: int) -> Canvas:
    """``figure`` drawn, ``width`` inches wide, with so many panels side by side."""
    with matplotlib.rc_context(cast(Any, STYLE)), warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes; that is no reason to fail.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        drawn = canvas([replace(figure, columns=columns)], width)
        fit(drawn)
    drawn.__class__ = Shown
    return cast(Canvas, drawn)


class Shown(Canvas):
    """A figure that shows itself in a cell, whether or not pyplot was ever imported."""

    def _repr_png_(self) -> bytes:
        held = io.BytesIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            self.savefig(held, format="png", dpi=DOTS_PER_INCH)
        return held.getvalue()
