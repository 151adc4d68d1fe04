"""The sentences of an advice, and its line of code."""

import math
from typing import assert_never

from limitcycle.reading import constants as c
from limitcycle.reading.advice import Advice, AdviceKind
from limitcycle.reading.digits import two_digits
from limitcycle.reading.rounding import Rounding

WORTH_DIVIDING = 1.1  # times by which an effective learning rate has grown
_HOLDING = "limitcycle.hold_norm(optimizer, symmetries)"
_HELD: tuple[AdviceKind, ...] = ("under-way", "approaching", "periodic", "stuck", "falling")


def advice(given: Advice) -> str:
    """What to do, in a few short sentences."""
    match given.kind:
        case "diverged":
            return "Go back to a checkpoint from before and lower the learning rate or clip."
        case "unjudged":
            return ""
        case "too-early":
            return "It is too early for advice. Watch on."
        case "no-decay":
            return (
                "Nothing to do: weight decay is 0, so the norm cannot fall here. The effective "
                "learning rate only shrinks."
            )
        case "rounds-away":
            return rounding(given.lost, alone=False) if given.lost else ""
        case "under-way":
            if _caps(given):
                then = f"Then {_cap(given)}."
            else:
                then = f"Then {_calm(given)}."
            return (
                "A jump is under way. Let it pass: a norm that is held now keeps the loss where it "
                f"is. {then}"
            )
        case "approaching":
            how = f"To end the jumps, {_cap(given) if _caps(given) else _hold(given)}"
            if given.halve and not _caps(given):
                how = f"Halve weight decay, or {_hold(given)}"
            return (
                f"The effective learning rate grew {two_digits(given.growth)}-fold since step "
                f"{given.since:,}, unseen in the loss. {how}."
            )
        case "periodic":
            fewer = " To have fewer, lower learning rate × weight decay." if given.halve else ""
            return (
                "The jumps go on while weight decay shrinks the norm. To end them, "
                f"{_cap(given) if _caps(given) else _hold(given)}.{fewer}"
            )
        case "stuck":
            return (
                "The effective learning rate is too high to converge, and weight decay keeps it "
                f"there. Try a hundredth of learning rate × weight decay{_of(given.product)}: at "
                "rest that makes a tenth of the effective learning rate. Half of it is hardly "
                "seen. Jumps may follow then; a hundredth of the learning rate with the norm held "
                "avoids them."
            )
        case "equilibrium":
            return (
                "Nothing to do. Learning rate and weight decay now act through their product"
                f"{_of(given.product)} alone: ten times of either has the same effect."
            )
        case "falling":
            grows = (
                "Weight decay is shrinking the norm, so the effective learning rate grows"
                f"{_tempo(given)}."
            )
            if _caps(given):
                return f"{grows} Before the loss jumps again, {_cap(given)}."
            first = _calm(given)
            return (
                f"{grows} If the loss jumps later on, this is why. {first[0].upper()}{first[1:]} "
                "before that."
            )
        case "rising":
            return (
                "The norm grows, so the effective learning rate falls by itself. Count that in "
                "before you lower the learning rate."
            )
        case "over":
            return (
                "Nothing to do: the schedule has brought the learning rate down, and the jumps "
                "with it."
            )
        case "held":
            return (
                "Nothing to do: the norm is held, so the learning rate alone sets the effective "
                "one, and weight decay does nothing."
            )
        case "held-high":
            return (
                "The effective learning rate is too high to converge. The norm is held, so lower "
                "the learning rate: weight decay does nothing."
            )
        case "scheduled":
            fall = f" {two_digits(1 / given.growth)}-fold" if given.growth > 0 else ""
            return (
                "Nothing to do: the learning rate falls faster than the norm, so the effective "
                f"learning rate fell{fall} since step {given.since:,}."
            )
        case "slow":
            return (
                "Nothing to do: weight decay shrinks the norm so slowly that it does not matter in "
                f"a run like this. The effective learning rate grows{_tempo(given)}."
            )
        case "broken":
            return (
                f"The loss has not come back since step {given.step:,}. Go on from a checkpoint "
                f"before that. {_remedy(given)}"
            )
        case "spiked":
            return _remedy(given)
        case _:
            assert_never(given.kind)


def _remedy(given: Advice) -> str:
    """What keeps the loss from rising once more for the same reason."""
    clip = "Clipping gradients at three times their usual norm"
    match given.cause:
        case "learning rate":
            return "Let the learning rate rise more slowly, or less far."
        case "arithmetic":
            return (
                f"Look at how gradients are scaled and summed there. {clip} keeps a wrong one from "
                "doing harm."
            )
        case "optimizer":
            return "When you resume a run, load the optimizer's state with the weights."
        case "batch":
            return f"Look at that batch. {clip} keeps one batch from doing harm."
        case "second moment":
            return f"{clip} keeps steps short while Adam's second moment catches up."
        case "effective learning rate":
            return f"To keep it from rising, {_hold(given)}."
        case "unknown":
            return "Lower the learning rate from there on."
        case _:
            assert_never(given.cause)


def code(given: Advice) -> str:
    """The line to copy; empty where nothing is to be typed."""
    if _caps(given):
        return (
            f"limitcycle.hold_effective_lr(optimizer, symmetries, {given.cap:.3g}, "
            'per="all", cap=True)'
        )
    return _HOLDING if given.kind in _HELD else ""


def rounding(lost: Rounding, *, alone: bool = True) -> str:
    """What rounding leaves of weight decay, and what to do; empty where nothing is lost.

    Args:
        lost: what `limitcycle.reading.rounding.decay_rounding` returns.
        alone: decay has a rounding of its own (AdamW unless fused); else it is rounded together
            with the gradient step, which may carry it.
    """
    if not lost.share:
        return ""
    product = f"ηλ = {lost.product:.2g}"
    if lost.share == 1:
        text = (
            f"Weight decay rounds away in {lost.dtype}: {product} of a weight is less than half of "
            "the distance to the next smaller number, so that w·(1 − ηλ) is stored as w. "
            f"{_more_of_it(lost.all_up_to / lost.product)} (up to {lost.all_up_to:.2g})."
        )
    else:
        text = (
            f"Weight decay rounds away for {lost.share:.0%} of the weights in {lost.dtype}: "
            f"{product} of them is less than half of the distance to the next smaller number. "
            "The others it shrinks by less than a factor of two before they stand still, too."
        )
    if not alone:
        text += (
            " Rounded together with the gradient step it arrives where that step scatters by half "
            "of the distance or more, and is lost where it scatters by much less."
        )
    return f"{text} Hold the weights in float32 and compute in {lost.dtype} (autocast)."


def _hold(given: Advice) -> str:
    """How to hold the norm: at the lowest effective learning rate since the last jump."""
    if not given.growth > WORTH_DIVIDING:
        return "hold the norm"
    return f"hold the norm with the learning rate divided by {two_digits(given.growth)}"


def _calm(given: Advice) -> str:
    """What keeps jumps from coming where no jump has shown a level to keep below."""
    return "halve weight decay or hold the norm" if given.halve else "hold the norm"


def _caps(given: Advice) -> bool:
    return given.cap > 0


def _cap(given: Advice) -> str:
    """How to keep the effective learning rate below where jumps began."""
    return (
        f"cap the effective learning rate at {given.cap:.3g}: jumps began from "
        f"{given.cap / c.CAP_SHARE:.3g} on"
    )


def _of(product: float) -> str:
    return "" if math.isnan(product) else f" ({product:.2g})"


def _tempo(given: Advice) -> str:
    """How fast decay alone makes the effective learning rate grow."""
    if math.isnan(given.tempo):
        return ""
    return f", at most e-fold in {given.tempo:,.0f} steps"


def _more_of_it(factor: float) -> str:
    if factor < 2:
        return "A little more would change nothing"
    return f"{math.floor(factor):,} times as much would change nothing"
