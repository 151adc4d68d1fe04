"""The paper as data: one module a figure (its runs, its claims, its drawing), and the claims.

`scale` says what the paper's networks and data are at three sizes, `plan` which runs are missing,
`book` makes pictures and verdicts from records, `press` many of them at once, `pages` the table of
claims and the pages, and `rehearsal` tries before hours of training whether all would run.
"""

from limitcycle.paper.book import entries, make_entry, open_book, write_book, write_rehearsal
from limitcycle.paper.pages import tally
from limitcycle.paper.plan import Plan, cost, missing
from limitcycle.paper.press import make_entries
from limitcycle.paper.scale import SCALES, Scale, scale_named
from limitcycle.paper.shelf import NUMBERS, experiments

__all__ = [
    "NUMBERS",
    "SCALES",
    "Plan",
    "Scale",
    "cost",
    "entries",
    "experiments",
    "make_entries",
    "make_entry",
    "missing",
    "open_book",
    "scale_named",
    "tally",
    "write_book",
    "write_rehearsal",
]
