"""The same product ηλ from different learning rates: runs and measurements of Figures 13 and 14.

A ratio of the two is named by the factor that multiplies the scale's learning rate and divides its
weight decay. What is compared is measured on the consistent stage.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np

from limitcycle.paper.claim import Finding, holds_if, undecided
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.experiment import Runs
from limitcycle.paper.questions.reading import (
    best_test_error,
    consistent,
    error_difference,
    evaluations,
    first_destabilisation,
    listed,
    low_and_high,
    periodic,
    share,
    test_images,
    unbroken,
)
from limitcycle.paper.scale import Scale
from limitcycle.paper.spread import spread
from limitcycle.reading.history import History

FACTORS = (10.0, 1.0, 0.1)
LEAST_UNITS = 3.6  # of 1/(ηλ): the warm-up from the furthest norm, and a few periods
EQUAL = 0.03  # noise of a difference of test errors above which agreement says nothing
SETTLED = 0.05  # of 1/(ηλ): what the first steps throw the norm to has been reached
FALL = (1.8, 2.2)  # of log ρ² in 1/(ηλ) steps, around the 2 of weight decay alone

Measure = Callable[[History], float]
Check = Callable[[Evidence], Finding]
Cells = Mapping[float, Mapping[str, tuple[History, ...]]]


def runs(scale: Scale) -> Runs:
    """Both products at all ratios; the factor 1 is Figure 2's own."""
    found = {}
    for lr in (scale.lr, scale.fast_lr):
        for factor in FACTORS:
            eta, decay = setting(scale, lr, factor)
            run = scale.run("convnet-cifar10", lr=eta, weight_decay=decay)
            least = round(LEAST_UNITS / (eta * decay))
            run = replace(run, steps=max(run.steps or 0, least))
            found[label(eta, decay)] = scale.shared(lr) if factor == 1 else run
    return found


def setting(scale: Scale, lr: float, factor: float) -> tuple[float, float]:
    """η and λ, without the last digits that the multiplication leaves."""
    return float(f"{lr * factor:.6g}"), float(f"{scale.weight_decay / factor:.6g}")


def label(lr: float, weight_decay: float) -> str:
    """A run as readers see it."""
    return f"η = {lr:g}, λ = {weight_decay:g}"


def labels(scale: Scale) -> Mapping[float, list[str]]:
    """Product ηλ → the labels of its runs, the largest learning rate first."""
    return {
        float(f"{lr * scale.weight_decay:.6g}"): [
            label(*setting(scale, lr, factor)) for factor in FACTORS
        ]
        for lr in (scale.lr, scale.fast_lr)
    }


def cells(evidence: Evidence) -> Cells:
    """Product → label → the histories of all seeds.

    Raises:
        MissingError: some have not been made.
        UserError: one diverged.
    """
    return {
        product: {name: tuple(unbroken(evidence[name])) for name in names}
        for product, names in labels(evidence.scale).items()
    }


def alike(
    measures: Mapping[str, Measure], within: float, form: str = ".2g", *, given_periods: bool = True
) -> Check:
    """The check that each of ``measures`` agrees to a factor ``within`` in every product.

    Without ``given_periods`` a ratio without periods refutes it; with it there is then nothing of
    the consistent stage to compare.
    """

    def check(evidence: Evidence) -> Finding:
        worst, words, values = 1.0, [], {}
        for product, found in cells(evidence).items():
            calm = [
                n for n, histories in found.items() if not share(map(periodic, histories)) > 0.5
            ]
            if given_periods and calm:
                return undecided(f"no periods at {'; '.join(calm)}")
            for name, measure in measures.items():
                medians = [_median(histories, measure) for histories in found.values()]
                if given_periods and not np.isfinite(medians).all():
                    return undecided(f"{name} at ηλ = {product:g} was not recorded")
                worst = max(worst, _spread(medians))
                words.append(f"{name} at ηλ = {product:g}: {listed(medians, form)}")
                values[f"{name}, {product:g}"] = medians
        rates = f"(learning rates × {listed(FACTORS, 'g')})"
        return holds_if(
            worst <= within,
            f"{'; '.join(words)} {rates}",
            ours={"at most a factor apart": worst},
            worst=worst,
            medians=values,
        )

    return check


def same_test_error(evidence: Evidence) -> Finding:
    """Smallest test errors agree: no two ratios differ by more than the noise.

    Where the noise itself is larger than `EQUAL`, agreement says nothing.
    """
    words, apart, widest = [], False, 0.0
    for product, found in cells(evidence).items():
        everyone = [history for histories in found.values() for history in histories]
        count = evaluations(everyone)
        best = [[best_test_error(t, count) for t in histories] for histories in found.values()]
        if not np.isfinite(best).all():
            return undecided(f"the test error at ηλ = {product:g} was not measured")
        low, high = (
            choose(best, key=lambda errors: float(np.mean(errors))) for choose in (min, max)
        )
        between = error_difference(high, low, min(map(test_images, everyone)))
        if not between.known:
            return undecided("too few seeds to tell")
        apart = apart or between.low > 0
        widest = max(widest, between.high)
        words.append(
            f"at ηλ = {product:g}: {', '.join(spread(errors, '.2%') for errors in best)}, at most "
            f"{between.middle:.2%} [{between.low:.2%}, {between.high:.2%}] apart"
        )
    text = "; ".join(words)
    if not apart and widest > EQUAL:
        return undecided(f"the noise is too large to call them equal: {text}")
    return holds_if(not apart, text)


def warm_up_by_distance(evidence: Evidence) -> Finding:
    """In every product, warm-up is longer where the first norm is further from the later ones."""
    ordered, words = True, []
    for product, found in cells(evidence).items():
        pairs = sorted(
            (
                (_median(histories, excess), _median(histories, warm_up))
                for histories in found.values()
            ),
            key=lambda pair: abs(pair[0]),
        )
        lengths = [length for _, length in pairs]
        if not np.isfinite(lengths).all():
            return undecided(f"at ηλ = {product:g} a ratio has no jump, so its warm-up has no end")
        ordered = ordered and lengths == sorted(lengths)
        words.append(
            f"at ηλ = {product:g}: "
            + ", ".join(f"{length:.2f} from {np.exp(far):.2g} ρ" for far, length in pairs)
        )
    return holds_if(
        ordered,
        "; ".join(words) + " (warm-up × ηλ, from the norm behind the first steps in units of the "
        "consistent stage's mean norm)",
    )


def free_fall(evidence: Evidence) -> Finding:
    """From a norm far above the consistent ones log ρ² falls by 2 in 1/(ηλ) steps."""
    ours = {}
    for product, found in cells(evidence).items():
        (history,) = list(found.values())[-1]
        rate = fall_rate(history)
        if np.isfinite(rate):
            ours[f"at ηλ = {product:g}"] = rate
    if not ours:
        return undecided("no norm begins far above the consistent ones")
    low, high = FALL
    return holds_if(all(low <= rate <= high for rate in ours.values()), "", ours=ours)


def fall_rate(history: History) -> float:
    """By how much log ρ² falls in 1/(ηλ) steps from its maximum until it has halved; may be NaN."""
    log = 2 * np.log(history.columns["norm"])
    top = int(np.nanargmax(log))
    reached = np.flatnonzero(log[top:] <= log[top] - np.log(2))
    until = first_destabilisation(history)
    if not len(reached) or history.clock.steps[top + reached[0]] > until:
        return float("nan")
    end = top + int(reached[0])
    units = (
        (history.clock.steps[end] - history.clock.steps[top]) * history.lr * history.weight_decay
    )
    return float((log[top] - log[end]) / units)


def loss_minimum(history: History) -> float:
    """Median over the periods of the consistent stage of the smallest loss of an epoch, nats."""
    at = consistent(history)
    starts = history.rows_of(history.diagnosis.events["start"].to_numpy())
    cuts = np.unique(np.concatenate([starts[starts >= at.start], [at.start, at.stop]]))
    loss = history.means["loss"]
    pieces = [loss[first:last] for first, last in pairwise(cuts)]
    # What is behind the last jump is a whole period only by chance.
    whole = pieces[:-1] or pieces
    return float(np.median([np.nanmin(piece) for piece in whole]))


def lower_end(column: str) -> Measure:
    """The lower end of a column's range in the consistent stage (its mean over an epoch)."""
    return lambda history: _range(history, column)[0]


def upper_end(column: str) -> Measure:
    """The upper end of the same."""
    return lambda history: _range(history, column)[1]


def warm_up(history: History) -> float:
    """Length of the warm-up in units of 1/(ηλ): until the consistent stage, or the first jump."""
    return warm_up_steps(history) * history.lr * history.weight_decay


def warm_up_steps(history: History) -> float:
    """The same in steps; infinity without a jump."""
    starts, consistent_from = history.diagnosis.events["start"], history.diagnosis.consistent_from
    first = float(starts.iloc[0]) if len(starts) else float("inf")
    return first if consistent_from is None else float(consistent_from)


def excess(history: History) -> float:
    """Log of the norm behind the first steps over its geometric mean in the consistent stage.

    The first steps throw a norm that is too small far above that range, from where it comes down
    like one that began too large; so what counts is the largest norm of the first twentieth of
    1/(ηλ) steps, or the first one where it only falls.
    """
    norm = np.log(history.columns["norm"])
    first = round(SETTLED / (history.lr * history.weight_decay))
    begun = history.clock.steps <= max(first, history.clock.steps[0])
    return float(np.nanmax(norm[begun]) - np.nanmean(norm[consistent(history)]))


def _range(history: History, column: str) -> tuple[float, float]:
    return low_and_high(history.means.get(column, history.columns[column])[consistent(history)])


def _median(histories: tuple[History, ...], measure: Measure) -> float:
    return float(np.median([measure(history) for history in histories]))


def _spread(values: list[float]) -> float:
    """Largest over smallest; infinite where one is not defined."""
    if not np.isfinite(values).all() or min(values) <= 0:
        return float("inf")
    return max(values) / min(values)
