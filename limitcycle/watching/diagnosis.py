"""The verdict on a watched run, with what watching knows besides, and one advice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from limitcycle.errors import UserError
from limitcycle.reading import Advice, Verdict, advise, decayed, diagnose, words
from limitcycle.reading.rounding import Rounding, decay_rounding
from limitcycle.watching.families import Family


@dataclass(frozen=True)
class Diagnosis:
    """What a watched run is doing and what to do; ``str()`` says it in words.

    Attributes:
        verdict: of `limitcycle.diagnose` on the step table.
        advice: one, as data.
        rotation: median angle between x_t and x_{t+1} over the last tenth of the rows, radians.
        equilibrium_rotation: the angle at which theory lets the norm rest, likewise.
        notes: what could not be said, and why.
    """

    verdict: Verdict
    advice: Advice
    rotation: float
    equilibrium_rotation: float
    notes: tuple[str, ...]

    @property
    def label(self) -> str:
        """The verdict's label."""
        return self.verdict.label

    @property
    def reason(self) -> str:
        """The clause behind the label."""
        return self.verdict.reason

    def __str__(self) -> str:
        sentences = [words.paragraph(self.verdict), *self._turning(), words.advice(self.advice)]
        sentences += [f"Note: {note}." for note in self.notes]
        return " ".join(filter(None, sentences))

    def _turning(self) -> list[str]:
        return words.turning(self.rotation, self.equilibrium_rotation)


def diagnosis_of(
    steps: pd.DataFrame,
    groups: pd.DataFrame,
    family: Family,
    dtypes: Mapping[str, int],
    notes: Sequence[str],
) -> Diagnosis:
    """Judge a watched run.

    Args:
        steps: its step table.
        groups: its group table; empty where it is not known.
        family: of its optimizer.
        dtypes: number of watched weights by type.
        notes: what could not be measured, and why.
    """
    if steps.empty:
        steps = pd.DataFrame({name: np.empty(0) for name in ("step", "loss", "norm")})
    late = steps.tail(max(len(steps) // 10, 1))
    steps, note = decayed(steps, groups)
    verdict = diagnose(steps)
    found = [*notes, *filter(None, [note])]
    if steps["loss"].isna().all() and len(steps):
        found.append("no loss was logged, so jumps cannot be told: call log(loss=loss) in the loop")
    if family.scaling == "unknown":
        found.append(f"what {family.name} does with the gradient is not known: see rotation")
    return Diagnosis(
        verdict=verdict,
        advice=advise(verdict, steps, _rounding(steps, dtypes)),
        rotation=_median(late, "rotation"),
        equilibrium_rotation=_median(late, "equilibrium_rotation"),
        notes=tuple(found),
    )


def _rounding(steps: pd.DataFrame, dtypes: Mapping[str, int]) -> list[Rounding]:
    """What rounding leaves of the latest weight decay, for the types that most weights have."""
    total = sum(dtypes.values())
    product = (steps["lr"] * steps["weight_decay"]).dropna() if "lr" in steps else pd.Series()
    found = []
    for dtype, count in dtypes.items():
        if 2 * count >= total and len(product) and 0 < product.iloc[-1] < 1:
            try:
                found.append(decay_rounding(dtype, float(product.iloc[-1])))
            except UserError:  # a type that nothing is known of
                continue
    return found


def _median(steps: pd.DataFrame, name: str) -> float:
    values = steps[name].dropna() if name in steps else pd.Series(dtype=float)
    return float(values.median()) if len(values) else float("nan")
