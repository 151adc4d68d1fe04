"""The effective learning rate at which the next jump begins, as a distribution.

Jumps begin where the effective learning rate has grown to a threshold, and the threshold scatters
from period to period. So with e, how far it has come (in units of this run's own rise a period,
from the mean of its past thresholds on), the threshold T is taken to be logistic about m with scale
s, and known to lie above e, which has been survived. With e rising at a known rate that makes the
time that is left:

    P(T > x | T > e) = (1 + exp((e − m)/s)) / (1 + exp((x − m)/s))
"""

import numpy as np

from limitcycle.reading.clock import Array


def rest_of_rise(e: Array, m: Array, s: Array, levels: Array) -> Array:
    """By how much e has still to rise until the jump, at each probability, (…, levels).

    Args:
        e, m, s: where the run is, location and scale of its threshold; one shape (…).
        levels: probabilities in (0, 1).
    """
    ahead = np.logaddexp(0, (e - m) / s)[..., None] - np.log1p(-levels)
    rise = s[..., None] * (ahead + np.log(-np.expm1(-ahead))) + (m - e)[..., None]
    return np.asarray(np.maximum(rise, 0.0))


def chance_within(rise: Array, e: Array, m: Array, s: Array) -> Array:
    """The probability that the jump begins before e has risen by ``rise``; the inverse."""
    here, there = np.logaddexp(0, (e - m) / s), np.logaddexp(0, (e + rise - m) / s)
    return np.asarray(-np.expm1(here - there))
