"""Figure 14: effective learning rate and effective gradient of Figure 13, enlarged."""

from dataclasses import replace

import numpy as np

from limitcycle.paper.claim import Claim
from limitcycle.paper.evidence import Evidence, MissingError
from limitcycle.paper.experiment import Experiment
from limitcycle.paper.questions import products
from limitcycle.paper.questions.pictures import with_other_seeds
from limitcycle.reading.history import History
from limitcycle.report.figure import Figure
from limitcycle.report.limits import aligned

SHOWN = ("effective_lr", "effective_grad_norm")
UNITS = 2.5  # of 1/(ηλ), at the end of the run: four or five periods


def draw(evidence: Evidence) -> list[Figure]:
    """A row a product: both quantities in the consistent stage, the same axes in each column."""
    rows = []
    for product, names in products.labels(evidence.scale).items():
        runs = [[last_units(history, UNITS) for history in evidence[name]] for name in names]
        row = with_other_seeds(runs, SHOWN, "epochs", f"ηλ = {product:g}")
        keys = tuple(replace(key, dash="solid") for key in row.keys)  # only norms are dashed
        rows.append(replace(row, keys=keys, columns=len(SHOWN)))
    return aligned(rows)


def last_units(history: History, units: float) -> History:
    """The series of the last ``units`` of 1/(ηλ) of a run; its verdict is that of the whole.

    Raises:
        MissingError: its table is empty.
    """
    if not len(history.clock.steps):
        raise MissingError(f"the run {history.label!r} left no steps")
    last = history.clock.steps[-1]
    (first,) = history.rows_of([last - units / (history.lr * history.weight_decay)])
    rows = np.arange(first, len(history.clock.steps))
    return replace(
        history,
        clock=history.clock.take(rows),
        columns={name: values[rows] for name, values in history.columns.items()},
        means={name: values[rows] for name, values in history.means.items()},
    )


def _range_claim(name: str, what: str, column: str) -> Claim:
    ends = {"from": products.lower_end(column), "to": products.upper_end(column)}
    return Claim(
        f"product-{name}",
        f"At a fixed product ηλ the {what} has the same range at all ratios.",
        "Appendix E.1, Figure 14; Remark 3",
        "at one product, lower or upper ends (1 % and 99 % quantiles of epoch means in the "
        "consistent stage) more than a factor 2 apart; undecided without periods",
        products.alike(ends, 2),
    )


FIGURE = Experiment(
    number=14,
    title="Effective learning rate and effective gradient at the same product",
    question="Do effective learning rate and effective gradient norm move in the same ranges, "
    "whatever the ratio of learning rate and weight decay?",
    runs=products.runs,
    draw=draw,
    choices=(
        f"the part that is enlarged: the last {UNITS:g} units of 1/(ηλ), past the warm-up of all "
        "ratios",
    ),
    claims=(
        _range_claim("effective-lr", "effective learning rate", "effective_lr"),
        _range_claim("effective-gradient", "effective gradient norm", "effective_grad_norm"),
    ),
)
