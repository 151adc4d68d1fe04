"""What a notebook shows: cards of runs and diagnoses, figures, a watch that updates, bars.

- `series` makes what is given (a run, a folder, a table, a watch, a list) into runs to draw;
- `picture` draws a few curves as a small SVG, with nothing but NumPy;
- `cards` is how objects look in a cell; they ask for it by name (`limitcycle.late`);
- `figures` returns matplotlib's figure, `pages` writes the report;
- `cell` is a place in the notebook that is written again; `live` puts a watch there, and
  `progress` a bar.

matplotlib and IPython are imported where they are used, never by importing this package.
"""

from limitcycle.notebook.cards import diagnosis_card, run_card, symmetries_card, watch_card
from limitcycle.notebook.figures import plot
from limitcycle.notebook.live import LiveCard
from limitcycle.notebook.pages import write_report
from limitcycle.notebook.progress import bar

__all__ = [
    "LiveCard",
    "bar",
    "diagnosis_card",
    "plot",
    "run_card",
    "symmetries_card",
    "watch_card",
    "write_report",
]
