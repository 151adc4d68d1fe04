"""What Figures 5 and 18 claim of the minima of one run, asked of any pair of network and data."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from limitcycle.paper.claim import Claim, Finding, holds_if, undecided
from limitcycle.paper.evidence import Evidence, MissingError
from limitcycle.paper.questions.everywhere import everywhere
from limitcycle.paper.questions.minima import Similarity, similarity
from limitcycle.paper.questions.reading import listed, share
from limitcycle.paper.scale import PAIR_TITLES, Pair

TENTH = 10  # the published runs show about this many periods after the anchor
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
        found = [each.cosine[each.minima(0)] for each in compared(evidence, pair)]
        medians = [float(np.median(cosines)) for cosines in found if len(cosines)]
        if not medians:
            return undecided("no second snapshot lies in the anchor's phase B")
        return holds_if(
            share(median >= 0.9 for median in medians) > 0.5,
            f"median cosine in the anchor's phase B: {listed(medians, '.3f')}",
            cosine=medians,
        )

    return check


def falls(pair: Pair) -> Check:
    """After a jump the similarity drops, goes on falling, and is about a half ten periods on."""

    def check(evidence: Evidence) -> Finding:
        paths = [_path(each) for each in compared(evidence, pair)]
        paths = [path for path in paths if len(path) >= 3]
        if not paths:
            return undecided("fewer than three periods follow the anchor's")
        kept = [path[0] < 0.9 and path[-1] < path[0] and 0.25 <= path[-1] <= 0.75 for path in paths]
        words = "; ".join(f"{path[0]:.2f} → {path[-1]:.2f} over {len(path)}" for path in paths)
        return holds_if(
            share(kept) > 0.5,
            f"median cosine with the next period's minima → the last counted, periods: {words}",
            likely="the fall goes on for as long as the run does, and has no level of its own",
            cosine=paths,
        )

    return check


def _path(found: Similarity) -> list[float]:
    """Median cosine with the minima of up to ten periods after the anchor's."""
    later = [period for period in found.later() if period <= TENTH]
    return [float(np.median(found.cosine[found.minima(period)])) for period in later]


def above_independent(pair: Pair) -> Check:
    """To its end the run's minima stay nearer to the anchor than to an independent network."""

    def check(evidence: Evidence) -> Finding:
        pairs = []
        for each in compared(evidence, pair):
            last = _last_quarter(each)
            pairs.append([float(np.median(c[last])) for c in (each.cosine, each.other_cosine)])
        words = ", ".join(f"{own:.2f} against {other:.2f}" for own, other in pairs)
        return holds_if(
            share(own > other for own, other in pairs) > 0.5,
            f"median cosine in the last quarter of the run, with the anchor against an "
            f"independent network: {words}",
            cosine=pairs,
        )

    return check


def faster(colours_10: Pair, colours_100: Pair) -> Check:
    """On CIFAR-10 the similarity with the anchor falls in less time than on CIFAR-100."""

    def check(evidence: Evidence) -> Finding:
        ten, hundred = (compared(evidence, pair) for pair in (colours_10, colours_100))
        span = min(float(each.steps[-1] - each.steps[each.anchor]) for each in (*ten, *hundred))
        means = [
            float(np.median([_mean_cosine(each, span) for each in found]))
            for found in (ten, hundred)
        ]
        return holds_if(
            means[0] < means[1],
            f"mean cosine over the {span:,.0f} steps after the anchor: {means[0]:.2f} for "
            f"{PAIR_TITLES[colours_10]}, {means[1]:.2f} for {PAIR_TITLES[colours_100]}",
            cosine=means,
        )

    return check


def _mean_cosine(found: Similarity, span: float) -> float:
    since = found.steps - found.steps[found.anchor]
    return float(found.cosine[(since > 0) & (since <= span)].mean())


def ensembles(pair: Pair, *, reach: bool) -> Check:
    """Whether ensembles with late minima are as good as those with an independent network."""

    def check(evidence: Evidence) -> Finding:
        gaps, noise, words = [], [], []
        for each in compared(evidence, pair):
            last = _last_quarter(each)
            own, other = (float(np.median(e[last])) for e in (each.ensemble, each.other_ensemble))
            gaps.append(own - other)
            noise.append(float(np.sqrt(other * (1 - other) / each.images)))
            words.append(f"{own:.2%} against {other:.2%} (± {noise[-1]:.2%})")
        reached = share(gap <= error for gap, error in zip(gaps, noise, strict=True)) > 0.5
        return holds_if(
            reached == reach,
            "median ensemble test error in the last quarter of the run, with the anchor against "
            f"an independent network: {', '.join(words)}",
            gap=gaps,
            noise=noise,
        )

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
    each = [claim for pair in (colours_10, colours_100) for claim in pair_claims(pair, source)]
    return (
        *each,
        Claim(
            f"similarity-faster-{colours_10}",
            f"Similarity falls faster for {PAIR_TITLES[colours_10]} than for "
            f"{PAIR_TITLES[colours_100]}.",
            source,
            "the mean cosine similarity with the anchor, over as many steps after it as both runs "
            "have, is no lower on CIFAR-10 (median over seeds)",
            faster(colours_10, colours_100),
            colour_images=True,
        ),
        _ensemble_claim(colours_10, source, reach=True),
        _ensemble_claim(colours_100, source, reach=False),
    )


def everywhere_claims(pairs: Sequence[Pair], source: str) -> tuple[Claim, ...]:
    """What is said of each pair, said of all of them: defined on the digits twins, too."""
    statements = {
        "within": "Within a period the weights hardly turn.",
        "falls": "After a destabilisation the similarity falls, period by period, to about a half.",
        "independent": "Minima of one run stay more alike than those of independent networks.",
    }
    return tuple(
        everywhere(
            f"similarity-{name}",
            statement,
            source,
            lambda pair, at=at: pair_claims(pair, source)[at],  # type: ignore[misc]
            pairs,
        )
        for at, (name, statement) in enumerate(statements.items())
    )


def pair_claims(pair: Pair, source: str) -> tuple[Claim, ...]:
    """What is claimed of one pair: within a period, after it, beside an independent network."""
    on = f"{PAIR_TITLES[pair]}: "
    return (
        Claim(
            f"similarity-within-{pair}",
            f"{on}within a period the weights hardly turn.",
            source,
            "a median cosine similarity below 0.9 between the anchor and the other snapshots of "
            "its phase B (most seeds decide)",
            within(pair),
            colour_images=True,
        ),
        Claim(
            f"similarity-falls-{pair}",
            f"{on}after a destabilisation the similarity falls, period by period, to about a half.",
            source,
            "with the next period's minima a median cosine of 0.9 or more; or none lower with "
            "those of the tenth period after the anchor's (the last, where there are fewer); or "
            "the latter outside of 0.25 … 0.75 (most seeds decide)",
            falls(pair),
            colour_images=True,
        ),
        Claim(
            f"similarity-independent-{pair}",
            f"{on}minima of one run stay more alike than those of independent networks.",
            source,
            "in the last quarter of the run a median cosine with the anchor no larger than with "
            "an independent network (most seeds decide)",
            above_independent(pair),
            colour_images=True,
        ),
    )


def _ensemble_claim(pair: Pair, source: str, *, reach: bool) -> Claim:
    can, worse = ("reach", "is more than") if reach else ("do not reach", "is less than")
    return Claim(
        f"ensembles-{pair}",
        f"{PAIR_TITLES[pair]}: ensembles of two minima of one run {can} the test error of an "
        "ensemble of independent networks.",
        f"{source}, Appendix G",
        f"in the last quarter of the run the median test error {worse} one standard error above "
        "that of ensembles with an independent network (most seeds decide)",
        ensembles(pair, reach=reach),
        colour_images=True,
    )
