"""A claim of the paper as a number with a verdict.

The threshold stands in the claim's own text and is fixed before the runs. A claim that fails at
some scale is shown as failing: it is a finding, not a defect.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from limitcycle.errors import UserError
from limitcycle.paper.evidence import Evidence, MissingError

Outcome = Literal["holds", "fails", "undecided"]


@dataclass(frozen=True)
class Finding:
    """What was measured for a claim at one scale.

    Attributes:
        outcome: holds, fails or undecided.
        measured: in words, with the numbers; for undecided: why.
        values: the numbers, by name, as JSON values.
        likely: where it fails, the likely reason, and whether it was measured.
    """

    outcome: Outcome
    measured: str
    values: Mapping[str, Any] = field(default_factory=dict)
    likely: str = ""


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
    """

    name: str
    statement: str
    source: str
    refuted: str
    check: Callable[[Evidence], Finding]
    colour_images: bool = False


def holds_if(
    condition: bool, measured: str, *, likely: str = "", cause: str = "", **values: Any
) -> Finding:
    """A finding that holds or fails.

    ``cause`` says why it fails where that was measured, ``likely`` where it is only a guess.
    """
    if condition:
        return Finding("holds", measured, values)
    guess = f"{likely} (a possible reason, not tested)" if likely else ""
    return Finding("fails", measured, values, cause or guess)


def undecided(why: str, **values: Any) -> Finding:
    """A finding that cannot be told, and why."""
    return Finding("undecided", why, values)


def said(problem: Exception) -> str:
    """An unexpected exception in a line."""
    return " ".join(f"{type(problem).__name__}: {problem}".split())


def judge(claim: Claim, evidence: Evidence) -> Finding:
    """The claim's finding on ``evidence``; a check that breaks down leaves it undecided."""
    if claim.colour_images and evidence.scale.digits:
        return undecided(f"not defined at {evidence.scale.name} scale: digits are not CIFAR")
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
