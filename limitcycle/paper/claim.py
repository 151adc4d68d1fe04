"""A claim of the paper as a number with a verdict.

The threshold stands in the claim's own text and is fixed before the runs. A claim that fails at
some scale is shown as failing: it is a finding, not a defect.

Seeds decide. A claim is asked of every seed by itself: it holds where all say so, fails where
all do, and is undecided else. One that compares groups of runs by their spread (`pooled`) is asked
once, of all seeds together.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from limitcycle.errors import UserError
from limitcycle.paper.evidence import Evidence, MissingError
from limitcycle.paper.scale import Pair, Scale
from limitcycle.paper.spread import Interval, spread

Outcome = Literal["holds", "fails", "undecided"]


@dataclass(frozen=True)
class Finding:
    """What was measured for a claim at one scale.

    Attributes:
        outcome: holds, fails or undecided.
        measured: in words, with the numbers; for undecided: why.
        values: the numbers, by name, as JSON values.
        likely: where it fails, the likely reason, and whether it was measured.
        ours: what readers compare with the paper, by name: numbers whose median and range over the
            seeds are shown.
        seeds: how many seeds hold, fail and cannot tell; empty where they were asked together.
    """

    outcome: Outcome
    measured: str
    values: Mapping[str, Any] = field(default_factory=dict)
    likely: str = ""
    ours: Mapping[str, float] = field(default_factory=dict)
    seeds: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """A measurable statement of the paper.

    Attributes:
        name: by which programs find it: ``band-lr``.
        statement: what is claimed.
        source: where the paper says it; "beyond the paper" where it only believes it.
        refuted: what would refute it: the threshold, fixed before the runs.
        check: evidence → finding; raises `MissingError` where runs are missing.
        colour_images: it is about CIFAR; not defined on the digits twin.
        published: what the paper reports of it in numbers; empty where it names none.
        pair: the network and data that it is about, where it is about one of several.
        pooled: asked of all seeds together, by their spread.
    """

    name: str
    statement: str
    source: str
    refuted: str
    check: Callable[[Evidence], Finding]
    colour_images: bool = False
    published: str = ""
    pair: Pair | None = None
    pooled: bool = False

    @property
    def kind(self) -> str:
        """Its name without the pair."""
        return self.name.removesuffix(f"-{self.pair}") if self.pair else self.name

    def said(self, scale: Scale) -> str:
        """The statement as readers see it at ``scale``: with the network and data there."""
        return f"{scale.title(self.pair)}: {self.statement}" if self.pair else self.statement


def holds_if(
    condition: bool,
    measured: str,
    *,
    likely: str = "",
    cause: str = "",
    ours: Mapping[str, float] | None = None,
    **values: Any,
) -> Finding:
    """A finding that holds or fails.

    ``cause`` says why it fails where that was measured, ``likely`` where it is only a guess.
    """
    if condition:
        return Finding("holds", measured, values, ours=ours or {})
    guess = f"{likely} (a possible reason, not tested)" if likely else ""
    return Finding("fails", measured, values, cause or guess, ours=ours or {})


def undecided(why: str, **values: Any) -> Finding:
    """A finding that cannot be told, and why."""
    return Finding("undecided", why, values)


def below(interval: Interval, limit: float, measured: str, **rest: Any) -> Finding:
    """Whether a mean over seeds lies below ``limit``: undecided where its interval holds that."""
    if not interval.known:
        return undecided(f"too few seeds to tell: {measured}")
    if interval.low < limit < interval.high:
        return undecided(f"within the spread of the seeds: {measured}")
    return holds_if(interval.high < limit, measured, **rest)


def above(interval: Interval, limit: float, measured: str, **rest: Any) -> Finding:
    """Whether a mean over seeds lies above ``limit``."""
    turned = Interval(-interval.middle, -interval.high, -interval.low)
    return below(turned, -limit, measured, **rest)


def said(problem: Exception) -> str:
    """An unexpected exception in a line."""
    return " ".join(f"{type(problem).__name__}: {problem}".split())


def judge(claim: Claim, evidence: Evidence) -> Finding:
    """The claim's finding on ``evidence``; a check that breaks down leaves it undecided."""
    if claim.colour_images and evidence.scale.digits:
        return undecided(f"not defined at {evidence.scale.name} scale: digits are not CIFAR")
    count = evidence.count
    if claim.pooled or count == 0:
        return _asked(claim, evidence)
    return together([_asked(claim, evidence.of_seed(seed)) for seed in range(count)])


def together(found: Sequence[Finding]) -> Finding:
    """What seeds say: all hold → holds, all fail → fails, else undecided with the count."""
    outcomes = [each.outcome for each in found]
    counted = Counter(outcomes)
    agreed = outcomes[0] if len(counted) == 1 else "undecided"
    reasons = dict.fromkeys(each.likely for each in found if each.likely)
    return Finding(
        agreed,
        _words(found),
        {"seeds": [{"outcome": each.outcome, **each.values} for each in found]},
        "; ".join(reasons) if agreed == "fails" else "",
        {},
        {name: counted[name] for name in ("holds", "fails", "undecided")},
    )


def _words(found: Sequence[Finding]) -> str:
    """Median and range of what is compared; then seed by seed, or once where all say the same."""
    names = dict.fromkeys(name for each in found for name in each.ours)
    parts = [
        f"{name}: {spread([each.ours[name] for each in found if name in each.ours], '.3g')}"
        for name in names
    ]
    texts = [each.measured for each in found]
    several = len({each.outcome for each in found}) > 1
    if len(set(texts)) == 1:
        parts += texts[:1]
    else:
        parts += [
            f"seed {seed}{f' {each.outcome}' if several else ''}: {each.measured}"
            for seed, each in enumerate(found)
            if each.measured
        ]
    return "; ".join(filter(None, parts))


def _asked(claim: Claim, evidence: Evidence) -> Finding:
    try:
        return claim.check(evidence)
    except MissingError as missing:
        return undecided(str(missing))
    except UserError as problem:  # a premise of the theory that the runs do not fulfil
        return undecided(str(problem))
    except Warning:  # raised where somebody asked for warnings to be errors
        raise
    except Exception as problem:  # a record nobody thought of must not cost the other claims
        return undecided(f"the check failed: {said(problem)}")
