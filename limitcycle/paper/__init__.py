"""The paper as data: one module a figure (its runs, its claims, its drawing), and the claims.

`scale` says what the paper's networks and data are at three sizes, `plan` which runs are missing,
`results` makes pictures and verdicts from records, `parallel` many at once, `pages` the table of
claims and the pages, and `rehearsal` tries before hours of training whether all would run.
"""

from limitcycle.paper.all_figures import NUMBERS, experiments
from limitcycle.paper.experiment import SEEDS
from limitcycle.paper.pages import tally
from limitcycle.paper.parallel import make_entries
from limitcycle.paper.plan import Plan, cost, missing
from limitcycle.paper.results import (
    entries,
    make_entry,
    open_results,
    write_rehearsal,
    write_results,
)
from limitcycle.paper.scale import SCALES, Scale, scale_named

__all__ = [
    "NUMBERS",
    "SCALES",
    "SEEDS",
    "Plan",
    "Scale",
    "cost",
    "entries",
    "experiments",
    "make_entries",
    "make_entry",
    "missing",
    "open_results",
    "scale_named",
    "tally",
    "write_rehearsal",
    "write_results",
]
