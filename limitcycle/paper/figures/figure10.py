"""Figure 10: one period of full-batch gradient descent."""

import numpy as np

from limitcycle.paper.claim import Claim, Finding, holds_if, undecided
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.experiment import Experiment, Runs
from limitcycle.paper.figures import figure02
from limitcycle.paper.questions.bounded import FULL_BATCH_RULE
from limitcycle.paper.questions.closeup import closeup
from limitcycle.paper.questions.full_batch import full_batch_run, label, of_scale
from limitcycle.paper.questions.phases import (
    jumps_far_above,
    length_of_b,
    loss_first,
    lowest_losses,
    near_zero_error,
    of_label,
    order,
)
from limitcycle.paper.questions.reading import listed
from limitcycle.paper.scale import Scale
from limitcycle.report.figure import Figure

_TRACKS = of_label(lambda evidence: label(of_scale(evidence.scale).close))


def runs(scale: Scale) -> Runs:
    """The full-batch run of Figure 9, and SGD's of Figure 2 with the nearest product ηλ."""
    chosen = of_scale(scale)
    return {
        label(chosen.close): full_batch_run(scale, chosen.close),
        figure02.label(chosen.sgd): scale.shared(chosen.sgd),
    }


def draw(evidence: Evidence) -> list[Figure]:
    """The six panels of a typical period."""
    history = evidence.first(label(of_scale(evidence.scale).close))
    title = f"One period of full-batch descent at η = {history.lr:g}, λ = {history.weight_decay:g}"
    return [closeup(history, title, FULL_BATCH_RULE)]


def longer_b(evidence: Evidence) -> Finding:
    """Phase B lasts longer, in units of 1/(ηλ), and reaches a lower loss than under SGD."""
    chosen = of_scale(evidence.scale)
    names = {"full batch": label(chosen.close), "SGD": figure02.label(chosen.sgd)}
    lengths = {who: [length_of_b(t) for t in evidence[name]] for who, name in names.items()}
    losses = {who: [lowest_losses(t) for t in evidence[name]] for who, name in names.items()}
    if any(np.isnan(values).all() for values in lengths.values()):
        return undecided("full batch or SGD has no complete period")
    length, loss = (
        {who: float(np.nanmedian(values)) for who, values in found.items()}
        for found in (lengths, losses)
    )
    products = [evidence.first(name) for name in names.values()]
    return holds_if(
        length["full batch"] > length["SGD"] and loss["full batch"] < loss["SGD"],
        f"phase B of {length['full batch']:.2f}/(ηλ) against {length['SGD']:.2f}/(ηλ); lowest "
        f"loss {loss['full batch']:.2g} against {loss['SGD']:.2g} (products "
        f"{listed(t.lr * t.weight_decay for t in products)})",
        length=length,
        loss=loss,
    )


FIGURE = Experiment(
    number=10,
    title="One period of full-batch gradient descent",
    question="What does a period look like without the noise of single batches?",
    runs=runs,
    draw=draw,
    choices=(
        "weight decay: 10's caption says 0.001, all the other full-batch figures 0.0001; we take "
        "that of the others, so that one run serves Figures 9, 10 and 12",
        "the distance of a step, which the paper shows in Figure 12 only, is drawn here, too",
        "SGD to compare with: the run of Figure 2 with the nearest product ηλ (as a ratio); "
        "lengths in 1/(ηλ)",
    ),
    claims=(
        Claim(
            "phase-order-full-batch",
            "With full batches, too, a period runs through A (norm rises), B (norm falls) and C "
            "(loss and effective gradient grow).",
            "Section C, Figure 10",
            "fewer than nine in ten complete periods do (in A and B more than half of the steps)",
            order(_TRACKS),
        ),
        Claim(
            "phase-b-train-error-full-batch",
            "The transition from A to B goes with near-zero train error.",
            "Section C, Figure 10",
            "in the first evaluation that lies wholly in phase B the train error (median over "
            "periods) is above 5 %; undecided if it is not above that around the peak before",
            near_zero_error(_TRACKS),
        ),
        Claim(
            "phase-c-loss-first-full-batch",
            "In phase C the loss rises before the norm.",
            "Section C, Figure 10",
            "in half of the destabilisations or more the norm is at its minimum less than two "
            "steps after the loss is last at its low level (one is the update itself)",
            loss_first(_TRACKS),
        ),
        Claim(
            "jumps-at-destabilisation-full-batch",
            "Each destabilisation comes with jumps far above ηλ.",
            "Sections 4.1 and C",
            "one whose largest cosine distance stays below 10 ηλ",
            jumps_far_above(_TRACKS),
        ),
        Claim(
            "phase-b-longer-full-batch",
            "Phase B is longer and reaches lower loss with full batches than with SGD.",
            "Section C",
            "the median phase B, in units of 1/(ηλ), is no longer, or its lowest loss (mean over "
            "an epoch) no lower, than under SGD at the nearest product ηλ of Figure 2's grid",
            longer_b,
        ),
    ),
)
