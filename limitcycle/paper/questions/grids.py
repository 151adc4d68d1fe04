"""Grids of one hyperparameter: what Figures 2, 15 and 16 ask of them, asked in one way.

A grid holds the same network on the same data at several learning rates, or at several weight
decays. Over seeds the majority, or the median, decides.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from limitcycle.paper.claim import Claim, Finding, holds_if, undecided
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.experiment import PANELS
from limitcycle.paper.questions.reading import (
    best_test_error,
    listed,
    period_units,
    periodic,
    power_law,
    share,
    unbroken,
)
from limitcycle.paper.scale import PAIR_TITLES, Pair, Scale
from limitcycle.reading.history import History
from limitcycle.report.figure import Figure
from limitcycle.report.panels import panels_of


@dataclass(frozen=True)
class Grid:
    """The runs of one grid.

    Attributes:
        symbol: of the hyperparameter: η or λ.
        labels: its values, largest first → the label of their runs.
        published: the paper's band for this grid, in words; empty where it names none.
    """

    symbol: str
    labels: Mapping[float, str]
    published: str = ""

    def histories(self, evidence: Evidence, value: float) -> tuple[History, ...]:
        """One history a seed."""
        return evidence[self.labels[value]]

    def with_periods(self, evidence: Evidence) -> list[float]:
        """The values at which most seeds are periodic, largest first."""
        return [
            value
            for value in self.labels
            if share(map(periodic, self.histories(evidence, value))) > 0.5
        ]


GridOf = Callable[[Scale], Grid]
Check = Callable[[Evidence], Finding]

BAND_REFUTED = (
    "{} without periods between two with them, periods at the lowest one, or a highest one that "
    "is not stuck (most seeds decide)"
)
BEST_REFUTED = "the smallest test error (median over seeds) outside of the band is lower"
FREQUENCY_REFUTED = "the fitted exponent of period ∝ {}^e has a 95 % interval that reaches 0"


def band(grid_of: GridOf) -> Check:
    """Periods on a contiguous part of the grid, none at its low end, stuck at its high end."""

    def check(evidence: Evidence) -> Finding:
        grid = grid_of(evidence.scale)
        values = list(grid.labels)
        inside = grid.with_periods(evidence)
        if not inside:
            for value in values:
                unbroken(grid.histories(evidence, value))
            return holds_if(False, f"no periods at any {grid.symbol} of {listed(values)}")
        low, high = min(inside), max(inside)
        ends = {
            value: _verdicts(grid.histories(evidence, value)) for value in (values[0], values[-1])
        }
        stuck = (
            share(t.diagnosis.label == "stuck" for t in grid.histories(evidence, values[0])) > 0.5
        )
        published = f" ({grid.published})" if grid.published else ""
        whole = [value for value in values if low <= value <= high] == inside
        holds = whole and low > values[-1] and high < values[0] and stuck
        if holds:
            unbroken(grid.histories(evidence, values[-1]))
        return holds_if(
            holds,
            f"periods at {grid.symbol} from {low:g} to {high:g}{published}; "
            + ", ".join(f"at {value:g}: {verdicts}" for value, verdicts in ends.items()),
            band=inside,
        )

    return check


def best_inside(grid_of: GridOf) -> Check:
    """The best test error of the grid is reached at a value with periods."""

    def check(evidence: Evidence) -> Finding:
        grid = grid_of(evidence.scale)
        best = {
            value: float(np.median([best_test_error(t) for t in grid.histories(evidence, value)]))
            for value in grid.labels
        }
        if np.isnan(list(best.values())).any():
            return undecided("the test error was not measured everywhere")
        inside = grid.with_periods(evidence)
        if not inside or len(inside) == len(best):
            return undecided(f"no {grid.symbol} inside and outside of a band to compare")
        winner = min(inside, key=best.__getitem__)
        rival = min((value for value in best if value not in inside), key=best.__getitem__)
        return holds_if(
            best[winner] <= best[rival],
            f"{best[winner]:.2%} at {grid.symbol} = {winner:g} inside, "
            f"{best[rival]:.2%} at {rival:g} outside",
            test_error={f"{value:g}": error for value, error in best.items()},
        )

    return check


def frequency(grid_of: GridOf) -> Check:
    """Period ∝ value^e with e below 0: the paper claims the sign, theory e = −1 of the rate."""

    def check(evidence: Evidence) -> Finding:
        grid = grid_of(evidence.scale)
        cells = {
            value: [history for history in grid.histories(evidence, value) if periodic(history)]
            for value in grid.labels
        }
        points = [(v, float(t.diagnosis.period)) for v, found in cells.items() for t in found]
        if len({value for value, _ in points}) < 3:
            return undecided(f"fewer than three {grid.symbol} have periods")
        law = power_law([value for value, _ in points], [period for _, period in points])
        units = {v: float(np.median([period_units(t) for t in c])) for v, c in cells.items() if c}
        words = ", ".join(f"{unit:.2f} at {value:g}" for value, unit in units.items())
        return holds_if(
            law.high < 0,
            f"exponent {law}; period × ηλ: {words}",
            likely="near the upper end of the band training hardly calms down between jumps, and "
            "periods are long in units of 1/(ηλ)",
            exponent=[law.exponent, law.low, law.high],
            period_units={f"{value:g}": unit for value, unit in units.items()},
        )

    return check


def claims_of(pair: Pair, grid_of: GridOf, key: str, what: str, source: str) -> tuple[Claim, ...]:
    """The claims about one pair's grid of ``what`` ("learning rate"), called ``key`` in names."""
    on = f"{PAIR_TITLES[pair]}: "
    return (
        Claim(
            f"band-{key}-{pair}",
            f"{on}periods appear in a band of {what}s; below it there are none within the budget, "
            "above it training gets stuck.",
            source,
            BAND_REFUTED.format(f"a {what}"),
            band(grid_of),
            colour_images=True,
        ),
        Claim(
            f"band-{key}-best-error-{pair}",
            f"{on}the best test error is reached inside the band of {what}s.",
            source,
            BEST_REFUTED,
            best_inside(grid_of),
            colour_images=True,
        ),
    )


def frequency_claim(pair: Pair, grid_of: GridOf, key: str, what: str, source: str) -> Claim:
    """The claim that a higher ``what`` makes shorter periods, for one pair."""
    return Claim(
        f"frequency-{key}-{pair}",
        f"{PAIR_TITLES[pair]}: the higher the {what}, the shorter the periods.",
        source,
        FREQUENCY_REFUTED.format("λ" if key == "weight-decay" else "η"),
        frequency(grid_of),
        colour_images=True,
    )


def row(evidence: Evidence, grid: Grid, shown: Sequence[float], title: str) -> Figure:
    """The paper's four panels at the values ``shown``, which alone stand in the legend."""
    histories = [
        replace(evidence.first(grid.labels[value]), label=f"{grid.symbol} = {value:g}")
        for value in shown
    ]
    return panels_of(histories, PANELS, "epochs", title)


def rows(evidence: Evidence, grids: Mapping[Pair, Grid], shown: Sequence[float]) -> list[Figure]:
    """One row a pair; pairs whose runs are the same at this scale share one."""
    alike: dict[tuple[str, ...], list[Pair]] = {}
    for pair, grid in grids.items():
        runs = tuple(evidence.first(grid.labels[value]).source.run.identity for value in shown)
        alike.setdefault(runs, []).append(pair)
    return [
        row(evidence, grids[pair], shown, _title(evidence.scale, pair, others))
        for pair, *others in alike.values()
    ]


def _title(scale: Scale, pair: Pair, others: Sequence[Pair]) -> str:
    return " and of ".join([scale.title(pair), *(PAIR_TITLES[other] for other in others)])


def _verdicts(histories: Sequence[History]) -> str:
    """The labels of all seeds, each named once: "stuck" or "converging, periodic"."""
    return ", ".join(sorted({history.diagnosis.label for history in histories}))
