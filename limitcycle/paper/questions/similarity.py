"""What Figures 5 and 18 claim of the minima of one run, asked of any pair of network and data."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from limitcycle.paper.claim import Claim, Finding, below, holds_if, undecided
from limitcycle.paper.evidence import Evidence, MissingError
from limitcycle.paper.questions.minima import Similarity, similarity
from limitcycle.paper.questions.reading import error_difference
from limitcycle.paper.scale import PAIR_TITLES, Pair
from limitcycle.paper.spread import as_percent, difference, spread

TENTH = 10  # the published runs show about this many periods after the anchor
ALIKE = 0.9  # cosine of weights that hardly turned
HALF = (0.25, 0.75)
REACHED = 0.01  # by which an ensemble may be worse and still reach the other
Check = Callable[[Evidence], Finding]


def independent(pair: Pair) -> str:
    """The label of a pair's independent network."""
    return f"{pair}, independent"


def compared(evidence: Evidence, pair: Pair) -> list[Similarity]:
    """A pair's similarities, one a seed; seeds without an anchor are left out.

    Raises:
        MissingError: no seed has one.
    """
    found, problem = [], None
    for history, other in zip(evidence[pair], evidence[independent(pair)], strict=True):
        try:
            found.append(similarity(history, other))
        except MissingError as missing:
            problem = missing
    if not found:
        raise problem or MissingError(f"the runs {pair!r} have not been made")
    return found


def within(pair: Pair) -> Check:
    """The cosine similarity with the other snapshots of the anchor's phase B is near one."""

    def check(evidence: Evidence) -> Finding:
        (each,) = compared(evidence, pair)
        cosines = each.cosine[each.minima(0)]
        if not len(cosines):
            return undecided("no second snapshot lies in the anchor's phase B")
        middle = float(np.median(cosines))
        return holds_if(middle >= ALIKE, "", ours={"cosine": middle}, cosine=middle)

    return check


def falls(pair: Pair) -> Check:
    """From period to period the similarity goes on falling, and is about a half ten periods on."""

    def check(evidence: Evidence) -> Finding:
        (each,) = compared(evidence, pair)
        path = _path(each)
        if len(path) < 3:
            return undecided("fewer than three periods follow the anchor's")
        return holds_if(
            path[-1] < path[0] and HALF[0] <= path[-1] <= HALF[1],
            "",
            ours={"one period on": path[0], "at the end": path[-1], "periods": float(len(path))},
            likely="the fall goes on for as long as the run does, and has no level of its own",
            cosine=path,
        )

    return check


def _path(found: Similarity) -> list[float]:
    """Median cosine with the minima of up to ten periods after the anchor's."""
    later = [period for period in found.later() if period <= TENTH]
    return [float(np.median(found.cosine[found.minima(period)])) for period in later]


def above_independent(pair: Pair) -> Check:
    """To its end the run's minima stay nearer to the anchor than to an independent network."""

    def check(evidence: Evidence) -> Finding:
        (each,) = compared(evidence, pair)
        last = _last_quarter(each)
        own, other = (float(np.median(c[last])) for c in (each.cosine, each.other_cosine))
        ours = {"with the anchor": own, "with an independent network": other}
        return holds_if(own > other, "", ours=ours, cosine=[own, other])

    return check


def faster(colours_10: Pair, colours_100: Pair) -> Check:
    """On CIFAR-10 the similarity with the anchor falls in less time than on CIFAR-100."""

    def check(evidence: Evidence) -> Finding:
        ten, hundred = (compared(evidence, pair) for pair in (colours_10, colours_100))
        span = min(float(each.steps[-1] - each.steps[each.anchor]) for each in (*ten, *hundred))
        means = [[_mean_cosine(each, span) for each in found] for found in (ten, hundred)]
        scale = evidence.scale
        return below(
            difference(*means),
            0.0,
            f"mean cosine over the {span:,.0f} steps after the anchor: {spread(means[0])} for "
            f"{scale.title(colours_10)}, {spread(means[1])} for {scale.title(colours_100)}",
            cosine=means,
        )

    return check


def _mean_cosine(found: Similarity, span: float) -> float:
    since = found.steps - found.steps[found.anchor]
    return float(found.cosine[(since > 0) & (since <= span)].mean())


def ensembles(pair: Pair, *, reach: bool) -> Check:
    """Whether ensembles with late minima are as good as those with an independent network.

    They *reach* it where they are worse by less than `REACHED`, noise included, and *do not* where
    they are worse beyond the noise.
    """

    def check(evidence: Evidence) -> Finding:
        found = compared(evidence, pair)
        own, other = [], []
        for each in found:
            last = _last_quarter(each)
            own.append(float(np.median(each.ensemble[last])))
            other.append(float(np.median(each.other_ensemble[last])))
        gap = error_difference(own, other, found[0].images)
        words = (
            f"with the anchor {spread(own, '.2%')}, with an independent network "
            f"{spread(other, '.2%')}, difference {as_percent(gap)}"
        )
        if not gap.known:
            return undecided(f"too few seeds to tell: {words}")
        reached, worse = gap.high < REACHED, gap.low > 0
        if not (reached or worse):
            return undecided(f"inside the noise: {words}")
        return holds_if(reached if reach else worse and not reached, words)

    return check


def ensemble_gains(pair: Pair) -> Check:
    """Ensembles within the anchor's period are as good as one network, later ones are better."""

    def check(evidence: Evidence) -> Finding:
        found = compared(evidence, pair)
        gains: dict[str, list[float]] = {"within": [], "later": []}
        alone: dict[str, list[float]] = {"within": [], "later": []}
        for each in found:
            near, far = each.minima(0), _last_quarter(each)
            if not len(near):
                continue
            for name, rows in (("within", near), ("later", far)):
                gains[name].append(float(np.median(each.ensemble[rows])))
                alone[name].append(float(np.median(each.error[rows])))
        apart = {
            name: error_difference(gains[name], alone[name], found[0].images) for name in gains
        }
        if not all(interval.known for interval in apart.values()):
            return undecided("fewer than two seeds have a second snapshot in the anchor's phase B")
        words = "; ".join(
            f"{name}: {spread(gains[name], '.2%')} against {spread(alone[name], '.2%')} alone, "
            f"{as_percent(interval)}"
            for name, interval in apart.items()
        )
        within_same = apart["within"].low <= 0 <= apart["within"].high
        if apart["later"].low < 0 < apart["later"].high:
            return undecided(f"inside the noise: {words}")
        return holds_if(within_same and apart["later"].high < 0, words)

    return check


def _last_quarter(found: Similarity) -> NDArray[np.int64]:
    """Phase-B snapshots after the anchor in the last quarter of the run.

    Raises:
        MissingError: there is none.
    """
    late = found.quiet & (found.steps > 0.75 * found.steps[-1]) & (found.period > 0)
    if not late.any():
        raise MissingError("no snapshot lies in a phase B of the last quarter of the run")
    return np.flatnonzero(late)


def claims_of(colours_10: Pair, colours_100: Pair, source: str) -> tuple[Claim, ...]:
    """The claims of a figure with one pair on CIFAR-10 and one on CIFAR-100."""
    return (
        *(claim for pair in (colours_10, colours_100) for claim in pair_claims(pair, source)),
        _ensemble_claim(colours_10, source, reach=True),
        _ensemble_claim(colours_100, source, reach=False),
    )


def faster_claim(colours_10: Pair, colours_100: Pair, what: str) -> Claim:
    """The claim that one network's minima part sooner on CIFAR-10 than on CIFAR-100."""
    return Claim(
        f"similarity-faster-{colours_10}",
        f"{what}: similarity falls faster on CIFAR-10 than on CIFAR-100.",
        "Section 5, Figures 5 and 18",
        "the mean cosine similarity with the anchor, over as many steps after it as both runs "
        "have, is no lower on CIFAR-10; undecided where the t-interval of the difference over "
        "seeds holds 0",
        faster(colours_10, colours_100),
        colour_images=True,
        pooled=True,
    )


def pair_claims(pair: Pair, source: str) -> tuple[Claim, ...]:
    """What is claimed of one pair: within a period, after it, beside an independent network."""
    return (
        Claim(
            f"similarity-within-{pair}",
            "within a period the weights hardly turn.",
            source,
            "a median cosine similarity below 0.9 between the anchor and the other snapshots of "
            "its phase B",
            within(pair),
            published="close to 1",
            pair=pair,
        ),
        Claim(
            f"similarity-falls-{pair}",
            "after a destabilisation the similarity falls, period by period, to about a half.",
            source,
            "a median cosine with the minima of the tenth period after the anchor's (the last, "
            "where there are fewer) that is no lower than with those of the first, or outside of "
            "0.25 … 0.75",
            falls(pair),
            published="about 0.5 in the end",
            pair=pair,
        ),
        Claim(
            f"similarity-independent-{pair}",
            "minima of one run stay more alike than those of independent networks.",
            source,
            "in the last quarter of the run a median cosine with the anchor no larger than with "
            "an independent network",
            above_independent(pair),
            pair=pair,
        ),
        Claim(
            f"ensembles-gain-{pair}",
            "an ensemble of two minima of one period is as good as one network, one of minima of "
            "distant periods is better.",
            source,
            "within the anchor's period the test error of ensembles differs from that of single "
            "snapshots, or in the last quarter of the run it is no lower; intervals as wide as "
            "Student's over seeds and two binomial standard errors",
            ensemble_gains(pair),
            pair=pair,
            pooled=True,
        ),
    )


def _ensemble_claim(pair: Pair, source: str, *, reach: bool) -> Claim:
    can = "reach" if reach else "do not reach"
    refuted = "is worse beyond the noise" if reach else "is worse by less than 1 %, noise included"
    return Claim(
        f"ensembles-{pair}",
        f"{PAIR_TITLES[pair]}: ensembles of two minima of one run {can} the test error of an "
        "ensemble of independent networks.",
        f"{source}, Appendix G",
        f"in the last quarter of the run their median test error {refuted} (Student's interval "
        "over seeds and two binomial standard errors of the difference); undecided in the noise",
        ensembles(pair, reach=reach),
        colour_images=True,
        pooled=True,
    )
