"""Premises: what a statement assumes, checked before a number is returned.

Every function that has a printed and an exact form takes ``form="exact"`` (the default) or
``form="printed"``. Both check their own premises. The exact ones hold without "for small ηλ".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from limitcycle.errors import UserError

Array = NDArray[np.float64]
Form = Literal["exact", "printed"]


class PremiseError(UserError):
    """A statement was asked for a number outside its premises; the message names the premise."""


@dataclass(frozen=True)
class Interval:
    """Two bounds of one quantity, float64 arrays of the same shape."""

    lower: Array
    upper: Array


def numbers(*values: Any) -> tuple[Array, ...]:
    """Each value as a float64 array, broadcast against the others."""
    return tuple(np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in values)))


def series(name: str, value: ArrayLike) -> Array:
    """The value as a float64 array whose first axis is time; a scalar is refused."""
    found = np.asarray(value, dtype=np.float64)
    require(found.ndim > 0, f"{name} is a series, first axis time", {name: found})
    return found


def require(holds: ArrayLike, premise: str, shown: Mapping[str, ArrayLike]) -> None:
    """Raise unless ``holds`` everywhere, with the first offending numbers.

    Args:
        holds: boolean, any shape; a comparison with NaN is False and so offends.
        premise: what should hold, as the message will say it.
        shown: numbers by name; shapes that broadcast with ``holds``.

    Raises:
        PremiseError: "premise 0 < ηλ < 1 fails: ηλ = 1.2".
    """
    if np.all(holds):
        return
    first, *columns = np.broadcast_arrays(np.asarray(holds), *map(np.asarray, shown.values()))
    at = tuple(int(i) for i in np.unravel_index(int(np.argmin(first)), first.shape))
    values = zip(shown, columns, strict=True)
    listed = ", ".join(f"{name} = {float(column[at]):.12g}" for name, column in values)
    place = f" at index {at}" if at else ""
    raise PremiseError(f"premise {premise} fails: {listed}{place}")


def printed(form: str) -> bool:
    """Whether the printed form is wanted; an unknown word is refused."""
    if form not in ("exact", "printed"):
        raise PremiseError(f'premise form is "exact" or "printed" fails: form = {form!r}')
    return form == "printed"


def step_product(eta: Array, lam: Array) -> Array:
    """ηλ of one step, where λ = 0 is allowed: requires η > 0 and 0 ≤ ηλ < 1."""
    q = eta * lam
    require((eta > 0) & np.isfinite(eta), "η > 0", {"η": eta})
    require((q >= 0) & (q < 1), "0 ≤ ηλ < 1", {"ηλ": q})
    return q


def decay_product(eta: Array, lam: Array) -> Array:
    """ηλ where weights do decay: requires η > 0 and 0 < ηλ < 1."""
    q = eta * lam
    require((eta > 0) & np.isfinite(eta), "η > 0", {"η": eta})
    require((q > 0) & (q < 1), "0 < ηλ < 1", {"ηλ": q})
    return q


def require_positive(name: str, value: Array) -> None:
    """Require 0 < value < ∞."""
    require((value > 0) & np.isfinite(value), f"{name} > 0", {name: value})


def require_gradient(name: str, value: Array) -> None:
    """Require 0 ≤ value < ∞."""
    require((value >= 0) & np.isfinite(value), f"{name} ≥ 0", {name: value})


def require_setting(eta: Array, lam: Array) -> None:
    """Require η > 0 and λ ≥ 0, whatever their product."""
    require((eta > 0) & np.isfinite(eta), "η > 0", {"η": eta})
    require((lam >= 0) & np.isfinite(lam), "λ ≥ 0", {"λ": lam})


def require_bounds(low: Array, high: Array) -> None:
    """Require 0 ≤ ℓ ≤ L < ∞, the bounds on the effective gradient norm."""
    holds = (low >= 0) & (low <= high) & np.isfinite(high)
    require(holds, "0 ≤ ℓ ≤ L", {"ℓ": low, "L": high})


def require_delta(delta: Array) -> None:
    """Require 0 < δ < 1: with ηλ < 1 the cosine is positive and no distance reaches 1."""
    require((delta > 0) & (delta < 1), "0 < δ < 1", {"δ": delta})
