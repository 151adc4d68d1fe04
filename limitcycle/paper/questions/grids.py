"""Grids of one hyperparameter: what Figures 2, 15 and 16 ask of them, asked in one way.

A grid holds the same network on the same data at several learning rates, or at several weight
decays.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from limitcycle.paper.claim import Claim, Finding, below, holds_if, undecided
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.experiment import PANELS
from limitcycle.paper.questions.pictures import panels
from limitcycle.paper.questions.reading import (
    best_test_error,
    evaluations,
    exponent,
    listed,
    lower_error,
    period_units,
    periodic,
    share,
    unbroken,
)
from limitcycle.paper.scale import PAIR_TITLES, Pair, Scale
from limitcycle.paper.spread import mean_interval, spread
from limitcycle.reading.history import History
from limitcycle.reading.period import periods
from limitcycle.report.figure import Figure


@dataclass(frozen=True)
class Grid:
    """The runs of one grid.

    Attributes:
        symbol: of the hyperparameter: η or λ.
        labels: its values, largest first → the label of their runs.
    """

    symbol: str
    labels: Mapping[float, str]

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
    "is not stuck"
)
BEST_REFUTED = (
    "the smallest test error at the best value outside of the band is lower than at the best one "
    "inside, by equally many evaluations; undecided where the difference of the means over seeds "
    "has an interval (Student's at 95 %, and two binomial standard errors of the difference) that "
    "holds 0, or all err more than 0.9 times as often as a guess"
)
FREQUENCY_REFUTED = (
    "the exponent e of period ∝ {}^e, fitted for each seed where all have periods, has a mean "
    "above 0; undecided where its t-interval holds 0, or there are fewer than three such values"
)


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
        whole = [value for value in values if low <= value <= high] == inside
        holds = whole and low > values[-1] and high < values[0] and stuck
        if holds:
            unbroken(grid.histories(evidence, values[-1]))
        gap = "" if whole else f" (only {listed(inside, 'g')} of these)"
        return holds_if(
            holds,
            f"{low:g} to {high:g}{gap}; "
            + ", ".join(f"at {value:g}: {verdicts}" for value, verdicts in ends.items()),
            band=inside,
        )

    return check


def best_inside(grid_of: GridOf) -> Check:
    """The best test error of the grid is reached at a value with periods."""

    def check(evidence: Evidence) -> Finding:
        grid = grid_of(evidence.scale)
        runs = {value: grid.histories(evidence, value) for value in grid.labels}
        everyone = [history for histories in runs.values() for history in histories]
        count = evaluations(everyone)
        if count == 0:
            return undecided("the test error was not measured everywhere")
        best = {value: [best_test_error(t, count) for t in found] for value, found in runs.items()}
        inside = grid.with_periods(evidence)
        if not inside or len(inside) == len(best):
            return undecided(f"no {grid.symbol} inside and outside of a band to compare")
        winner = min(inside, key=lambda value: float(np.mean(best[value])))
        outside = [value for value in best if value not in inside]
        rival = min(outside, key=lambda value: float(np.mean(best[value])))
        return lower_error(
            best[winner],
            best[rival],
            everyone,
            f"at {grid.symbol} = {winner:g} inside and {rival:g} outside, by {count} evaluations",
            test_error={f"{value:g}": errors for value, errors in best.items()},
        )

    return check


def exponents(
    evidence: Evidence, grid: Grid, measure: Callable[[History], float]
) -> tuple[list[float], str]:
    """e of measure ∝ value^e for each seed, and the measure at every value in words.

    All seeds are fitted at the same values: those at which every one has periods.
    """
    points = {
        value: [measure(t) if periodic(t) else np.nan for t in grid.histories(evidence, value)]
        for value in grid.labels
    }
    common = {value: values for value, values in points.items() if np.isfinite(values).all()}
    seeds = zip(*common.values(), strict=True)
    found = [exponent(list(common), values) for values in seeds]
    words = [
        f"{spread(values)} at {value:g}"
        for value, values in points.items()
        if np.isfinite(values).any()
    ]
    return [each for each in found if np.isfinite(each)], ", ".join(words)


def frequency(grid_of: GridOf) -> Check:
    """Period ∝ value^e with e below 0: the paper claims the sign, theory e = −1 of the rate."""

    def check(evidence: Evidence) -> Finding:
        grid = grid_of(evidence.scale)
        found, words = exponents(evidence, grid, lambda t: float(t.diagnosis.period))
        if len(found) < 2:
            return undecided(
                f"fewer than three {grid.symbol} at which all seeds have periods: {words}"
            )
        law = mean_interval(found)
        return below(
            law,
            0.0,
            f"exponent {law.middle:.2f} [{law.low:.2f}, {law.high:.2f}]; steps: {words}",
            exponents=found,
        )

    return check


def period_units_rise(grid_of: GridOf) -> Check:
    """Period × ηλ ∝ η^e with e below 0: longer in units of 1/(ηλ) at lower learning rates."""

    def check(evidence: Evidence) -> Finding:
        grid = grid_of(evidence.scale)
        found, words = exponents(evidence, grid, period_units)
        if len(found) < 2:
            return undecided(
                f"fewer than three {grid.symbol} at which all seeds have periods: {words}"
            )
        _, swings = exponents(evidence, grid, norm_swing)
        law = mean_interval(found)
        return below(
            law,
            0.0,
            f"period × ηλ: {words}; exponent {law.middle:.2f} [{law.low:.2f}, {law.high:.2f}]; the "
            f"norm falls in phase B by the logarithm {swings}",
            cause="a period lasts as long in units of 1/(ηλ) as weight decay takes to undo what a "
            "jump adds to log ρ, and in these nets jumps at lower learning rates add less",
            exponents=found,
        )

    return check


def norm_swing(history: History) -> float:
    """By how much log ρ falls in phase B, median over the later half of the periods; may be NaN."""
    found = periods(history)
    norm = history.columns["norm"]
    falls = [
        float(np.log(norm[top] / norm[start]))
        for top, start in (
            history.rows_of([each.phase_b, each.phase_c]) for each in found[len(found) // 2 :]
        )
    ]
    return float(np.median(falls)) if falls else float("nan")


def claims_of(pair: Pair, grid_of: GridOf, key: str, what: str, source: str) -> tuple[Claim, ...]:
    """The claims about one pair's grid of ``what`` ("learning rate"), called ``key`` in names."""
    return (
        Claim(
            f"band-{key}-{pair}",
            f"periods appear in a band of {what}s; below it there are none within the budget, "
            "above it training gets stuck.",
            source,
            BAND_REFUTED.format(f"a {what}"),
            band(grid_of),
            pair=pair,
        ),
        Claim(
            f"band-{key}-best-error-{pair}",
            f"the best test error is reached inside the band of {what}s.",
            source,
            BEST_REFUTED,
            best_inside(grid_of),
            pair=pair,
            pooled=True,
        ),
    )


def frequency_claim(pair: Pair, grid_of: GridOf, key: str, what: str, source: str) -> Claim:
    """The claim that a higher ``what`` makes shorter periods, for one pair."""
    return Claim(
        f"frequency-{key}-{pair}",
        f"the higher the {what}, the shorter the periods.",
        source,
        FREQUENCY_REFUTED.format("λ" if key == "weight-decay" else "η"),
        frequency(grid_of),
        pair=pair,
        pooled=True,
    )


def row(evidence: Evidence, grid: Grid, shown: Sequence[float], title: str) -> Figure:
    """The paper's four panels at the values ``shown``, which alone stand in the legend."""
    labels = {grid.labels[value]: f"{grid.symbol} = {value:g}" for value in shown}
    return panels(evidence, labels, PANELS, "epochs", title)


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
