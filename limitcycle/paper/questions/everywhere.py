"""A claim about several pairs of network and data at once.

Claims that name a data set of colour images are not defined on the digits twin. What is said of all
pairs alike is: there each twin is looked at once, however many pairs it stands for.
"""

from collections.abc import Callable, Sequence

from limitcycle.errors import UserError
from limitcycle.paper.claim import Claim, Finding, undecided
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.scale import Pair, Scale

Check = Callable[[Evidence], Finding]


def twins(scale: Scale, pairs: Sequence[Pair], but: Sequence[Pair] = ()) -> list[Pair]:
    """Of the pairs that are the same at ``scale`` the first; none that is one of ``but`` there."""
    seen = [scale.worlds[pair] for pair in but]
    found = []
    for pair in pairs:
        if scale.worlds[pair] not in seen:
            seen.append(scale.worlds[pair])
            found.append(pair)
    return found


def in_all(check_of: Callable[[Pair], Check], pairs: Sequence[Pair], but: Sequence[Pair]) -> Check:
    """The check that holds if that of every pair does, and fails if that of one pair fails."""

    def check(evidence: Evidence) -> Finding:
        scale = evidence.scale
        found = {
            scale.title(pair): _finding(check_of(pair), evidence)
            for pair in twins(scale, pairs, but)
        }
        outcomes = [finding.outcome for finding in found.values()]
        words = "; ".join(
            f"{title} {'is ' if finding.outcome == 'undecided' else ''}{finding.outcome}: "
            f"{finding.measured}"
            for title, finding in found.items()
        )
        values = {title: dict(finding.values) for title, finding in found.items()}
        if "fails" in outcomes:
            reasons = [f.likely for f in found.values() if f.likely]
            return Finding("fails", words, values, "; ".join(dict.fromkeys(reasons)))
        if "undecided" in outcomes or not outcomes:
            return undecided(words or "no network and data to look at", **values)
        return Finding("holds", words, values)

    return check


def _finding(check: Check, evidence: Evidence) -> Finding:
    try:
        return check(evidence)
    except UserError as problem:
        return undecided(str(problem))


def everywhere(
    name: str,
    statement: str,
    source: str,
    claim_of: Callable[[Pair], Claim],
    pairs: Sequence[Pair],
    but: Sequence[Pair] = (),
) -> Claim:
    """The claim that each pair's own claim holds; ``but``: pairs whose twins another figure has."""
    refuted = claim_of(pairs[0]).refuted
    return Claim(
        name,
        statement,
        source,
        f"for one network and data set, or one digits twin: {refuted}",
        in_all(lambda pair: claim_of(pair).check, pairs, but),
    )
