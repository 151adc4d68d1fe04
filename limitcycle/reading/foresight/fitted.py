"""The numbers of the forecast that were fitted to runs: by ``benchmarks/foresight/fit.py``."""

import functools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any, Self

import numpy as np

from limitcycle.reading.clock import Array
from limitcycle.reading.foresight.measures import Measures
from limitcycle.reading.foresight.threshold import rest_of_rise

FILE = "fitted.json"


@dataclass(frozen=True)
class Fitted:
    """Location and scale of the threshold as sums over measures, and how levels are set right.

    Attributes:
        location, log_scale: factor of each measure by its name; ``one`` is the constant.
        nominal, level: to be right ``nominal`` of the time the quantile at ``level`` is taken.
    """

    location: Mapping[str, float]
    log_scale: Mapping[str, float]
    nominal: tuple[float, ...]
    level: tuple[float, ...]

    def threshold(self, measures: Mapping[str, Any]) -> tuple[Array, Array]:
        """Location m and scale s of the threshold.

        Args:
            measures: those of `Measures` by name: numbers, or arrays of one shape.
        """
        location = _sum(self.location, measures)
        scale = np.exp(np.clip(_sum(self.log_scale, measures), -4, 2))
        return location, scale

    def steps(self, measures: Measures, levels: Array) -> Array:
        """Steps until the next jump at calibrated probabilities, (levels,)."""
        location, scale = self.threshold(asdict(measures))
        at = np.interp(levels, self.nominal, self.level)
        rise = rest_of_rise(np.asarray(measures.position), location, scale, at)
        return rise / measures.rise_per_step

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """What the file holds of one family."""
        return cls(
            location=content["location"],
            log_scale=content["log_scale"],
            nominal=tuple(content["nominal"]),
            level=tuple(content["level"]),
        )


@functools.cache
def content() -> Mapping[str, Any]:
    """All that the file holds."""
    text = resources.files(__package__).joinpath(FILE).read_text(encoding="utf-8")
    found: Mapping[str, Any] = json.loads(text)
    return found


@functools.cache
def fitted(family: str) -> Fitted:
    """For one family of `family_of`."""
    return Fitted.from_dict(content()["threshold"][family])


def family_of(threshold: str, measures: Measures) -> str:
    """Whose numbers serve a moment.

    Of SGD ``full batch``'s where the loss has no noise; of AdamW others where its second moment is
    recorded.
    """
    if threshold == "adamw":
        return "adamw with lag" if np.isfinite(measures.lag) else "adamw"
    return "full batch" if measures.quiet else "mini-batch"


def first_wait(kind: str) -> tuple[float, float, int]:
    """Quartiles of the wait for the first jump, in e-foldings by decay, and of how many runs."""
    low, high, runs = content()["first_jump"][kind]
    return float(low), float(high), int(runs)


def _sum(factors: Mapping[str, float], measures: Mapping[str, Any]) -> Array:
    terms = [factor * np.asarray(measures.get(name, 1.0)) for name, factor in factors.items()]
    return np.asarray(np.sum(np.broadcast_arrays(*terms), axis=0), dtype=np.float64)
