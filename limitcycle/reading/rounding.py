"""Whether weight decay survives the rounding of weights that are held in few bits.

A number with p significant bits is w = ±m·2^e with m in [1, 2); its neighbours lie 2^(1−p)·2^e away
(below a power of two: half of that). Weight decay asks for w·(1 − ηλ), and what is stored is the
nearest number. Where ηλ·m is below 2^−p, half of that distance, this is w itself, step after step:
decay does nothing, and neither does ten times as much. So it rounds away for every weight up to
ηλ = 2^−(p+1), for none from 2^−p on, and in between for the mantissas m < 2^−p/(ηλ), whose share
among weights of log-uniform size is −p − log₂(ηλ). In bfloat16 (p = 8) the limits are 0.00195 and
0.0039.

That is exact where decay has a rounding of its own: w ← w − ηλ·w before or after the gradient step,
as in AdamW unless fused. (As a product with 1 − ηλ in float32 arithmetic, which bfloat16 and
float16 weights get, it is the same up to float32's own rounding; for float32 weights 1 − ηλ itself
is 1 up to ηλ = 2^−25, and beyond that every weight moves.) Where decay is added to the gradient
first and the sum w − η(g + λw) is rounded once, the gradient step may carry it over the edge:
`carried` says how much arrives. PyTorch's SGD, unless fused, stores g + λw first: in it λw is lost
against g as ηλ·w is against w here.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from limitcycle.errors import UserError


class _Format(NamedTuple):
    """Significant bits p, and the exponent e of the smallest normal number."""

    bits: int
    lowest: int


_FORMATS = {
    "bfloat16": _Format(8, -126),
    "float16": _Format(11, -14),
    "float32": _Format(24, -126),
    "float64": _Format(53, -1022),
}


@dataclass(frozen=True)
class Rounding:
    """What rounding leaves of weight decay with a rounding of its own.

    Attributes:
        dtype: name of the weights' type.
        product: ηλ, what decay takes off a weight in one step, relative.
        share: of the weights for which it rounds away, where their sizes are log-uniform; exact up
            to two mantissas, 3·2^(1−p). Of subnormal weights, which it leaves out, more is lost.
        all_up_to: largest ηλ that rounds away for every weight, 2^−(p+1).
        none_from: smallest ηλ that rounds away for none (normal) weight, 2^−p.
    """

    dtype: str
    product: float
    share: float
    all_up_to: float
    none_from: float


def decay_rounding(dtype: str, product: float) -> Rounding:
    """What is lost of a decay by ``product`` = ηλ a step in weights of type ``dtype``.

    Args:
        dtype: ``"bfloat16"``, ``"float16"``, ``"float32"`` or ``"float64"``; ``str(p.dtype)``, with
            torch's prefix, will do.
        product: ηλ, in [0, 1). With 0 nothing is asked for and nothing lost.

    Raises:
        UserError: another type, or ``product`` outside its range.
    """
    name, (bits, _) = _format(dtype)
    _check(product)
    share = min(max(-bits - math.log2(product), 0.0), 1.0) if product else 0.0
    return Rounding(name, product, share, 2.0 ** -(bits + 1), 2.0**-bits)


def rounds_away(weights: ArrayLike, dtype: str, product: float) -> NDArray[np.bool_]:
    """Which weights w − ηλ·w, rounded to nearest (ties to even), leaves as they were.

    Args:
        weights: any shape; finite numbers of type ``dtype`` (subnormal ones, too), as float64.
        dtype, product: as in `decay_rounding`.

    Raises:
        UserError: another type, or ``product`` outside its range.
    """
    _, (bits, lowest) = _format(dtype)
    _check(product)
    size = np.abs(np.asarray(weights, dtype=np.float64))
    fraction, exponent = np.frexp(size)  # of a fraction in [1/2, 1)
    lead = np.maximum(exponent - 1, lowest)
    spacing = np.ldexp(1.0, lead + 1 - bits)
    below = np.where((fraction == 0.5) & (lead > lowest), spacing / 2, spacing)
    # Both numbers a tie lies between: the one with the even last bit is taken.
    even = np.fmod(np.ldexp(size, bits - 1 - lead), 2) == 0
    move = product * size
    return np.asarray((move < below / 2) | ((move == below / 2) & even))


def carried(spread: float) -> float:
    """Share of a small decay that arrives in the mean where the gradient step is rounded with it.

    w − s − δ is rounded once; s, the gradient step, is normal about zero with a standard deviation
    of ``spread`` distances between neighbouring numbers, and δ, the decay, is small against that
    distance. The mean of what is stored then moves by Σₙ φ(n + ½) of δ, with φ the density of s in
    those distances (n over all whole numbers): as from a dithered quantiser, nothing for steps far
    below half a distance, 43 % at a quarter, 98.6 % at a half, all of it beyond.

    Args:
        spread: standard deviation of the gradient step of one weight ÷ distance to its neighbours.

    Raises:
        UserError: it is negative or NaN.
    """
    if not spread >= 0:
        raise UserError(f"spread must not be negative, nor {spread:g}")
    if spread > 2:  # within 2·exp(−8π²), 1e-34, of
        return 1.0
    if spread < 0.01:  # exp(−1250), or 0/0
        return 0.0
    edges = np.arange(24) + 0.5
    return float(math.sqrt(2 / math.pi) / spread * np.exp(-((edges / spread) ** 2) / 2).sum())


def _format(dtype: str) -> tuple[str, _Format]:
    name = dtype.removeprefix("torch.")
    if name not in _FORMATS:
        raise UserError(f"dtype must be one of {', '.join(_FORMATS)}, not {dtype!r}")
    return name, _FORMATS[name]


def _check(product: float) -> None:
    if not 0 <= product < 1:
        raise UserError(f"product, ηλ, must be in [0, 1), not {product:g}")
