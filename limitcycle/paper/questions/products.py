"""The same product ηλ from different learning rates: runs and measurements of Figures 13 and 14.

A ratio of the two is named by the factor that multiplies the scale's learning rate and divides its
weight decay. What is compared is measured on the consistent stage, as the median over seeds.
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
    listed,
    low_and_high,
    periodic,
    share,
    unbroken,
)
from limitcycle.paper.scale import Scale
from limitcycle.reading.history import History

FACTORS = (10.0, 1.0, 0.1)
LEAST_UNITS = 3.6  # of 1/(ηλ): the warm-up from the furthest norm, and a few periods
TEST_IMAGES = {"digits": 389, "cifar10": 10_000, "cifar100": 10_000}

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
            f"{'; '.join(words)} {rates}; at most a factor {worst:.2f} apart",
            worst=worst,
            medians=values,
        )

    return check


def same_test_error(evidence: Evidence) -> Finding:
    """Smallest test errors agree to twice the binomial standard error of the largest of them."""
    agree, words = True, []
    for product, found in cells(evidence).items():
        best = [_median(histories, best_test_error) for histories in found.values()]
        if not np.isfinite(best).all():
            return undecided(f"the test error at ηλ = {product:g} was not measured")
        images = min(test_images(history) for histories in found.values() for history in histories)
        room = 2 * float(np.sqrt(max(best) * (1 - max(best)) / images))
        agree = agree and max(best) - min(best) <= room
        words.append(f"at ηλ = {product:g}: {listed(best, '.2%')} (room: {room:.2%})")
    return holds_if(agree, "; ".join(words))


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
        "; ".join(words) + " (warm-up × ηλ from ρ₀ in units of the consistent stage's mean norm)",
        likely="the first steps throw a norm that is too small far above the consistent range, "
        "from where it comes down at the rate of weight decay, like one that began too large",
    )


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
    """Log of the first norm over the geometric mean of the norm in the consistent stage."""
    norm = np.log(history.columns["norm"])
    return float(norm[0] - np.nanmean(norm[consistent(history)]))


def _range(history: History, column: str) -> tuple[float, float]:
    return low_and_high(history.means.get(column, history.columns[column])[consistent(history)])


def _median(histories: tuple[History, ...], measure: Measure) -> float:
    return float(np.median([measure(history) for history in histories]))


def _spread(values: list[float]) -> float:
    """Largest over smallest; infinite where one is not defined."""
    if not np.isfinite(values).all() or min(values) <= 0:
        return float("inf")
    return max(values) / min(values)


def test_images(history: History) -> int:
    """How many images a run's test errors rest on."""
    run = history.source.run
    return run.test_size or TEST_IMAGES[run.data]
