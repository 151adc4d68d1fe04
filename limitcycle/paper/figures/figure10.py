"""Figure 10: one period of full-batch gradient descent."""

from limitcycle.paper.claim import Claim, Finding, holds_if, undecided
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.experiment import Experiment, Runs
from limitcycle.paper.figures import figure02
from limitcycle.paper.questions.bounded import FULL_BATCH_RULE
from limitcycle.paper.questions.closeup import closeup
from limitcycle.paper.questions.full_batch import full_batch_run, label, of_scale
from limitcycle.paper.questions.phases import (
    NEAR_ZERO_REFUTED,
    jumps_stand_out,
    length_of_b,
    loss_first,
    lowest_losses,
    near_zero_error,
    of_label,
    order,
)
from limitcycle.paper.scale import Scale
from limitcycle.paper.spread import as_ratio, log_ratio, spread
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
    full, sgd = evidence[label(chosen.close)], evidence[figure02.label(chosen.sgd)]
    lengths = [[length_of_b(history) for history in found] for found in (full, sgd)]
    losses = [[lowest_losses(history) for history in found] for found in (full, sgd)]
    length, loss = log_ratio(*lengths), log_ratio(*losses)
    if not (length.known and loss.known):
        return undecided("fewer than two seeds of full batch or SGD have a complete period")
    words = (
        f"phase B × ηλ {spread(lengths[0])}, under SGD {spread(lengths[1])}: {as_ratio(length)}; "
        f"lowest loss {spread(losses[0])}, under SGD {spread(losses[1])}: {as_ratio(loss, '.2g')}"
    )
    if length.high < 0 or loss.low > 0:
        return holds_if(False, words)
    if length.low > 0 and loss.high < 0:
        return holds_if(True, words)
    return undecided(f"within the spread of the seeds: {words}")


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
        "SGD to compare with: of Figure 2's rates with periods the one with the nearest product ηλ "
        "(as a ratio); lengths in 1/(ηλ)",
        "one seed is drawn: periods of several do not lie above each other",
    ),
    claims=(
        Claim(
            "phase-order-full-batch",
            "With full batches, too, a period runs through A (norm rises), B (norm falls) and C "
            "(loss and effective gradient grow).",
            "Section C, Figure 10",
            "in fewer than nine in ten complete periods the effective gradient's median in B is a "
            "third of its largest in A or less, and it grows threefold in C",
            order(_TRACKS),
        ),
        Claim(
            "phase-b-train-error-full-batch",
            "The transition from A to B goes with near-zero train error.",
            "Section C, Figure 10",
            NEAR_ZERO_REFUTED,
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
            "Destabilisations come with larger jumps than there are in the quiet before.",
            "Sections 4.1 (a conjecture there) and C",
            "in fewer than nine in ten periods the largest cosine distance of phase C exceeds the "
            "largest of phase B",
            jumps_stand_out(_TRACKS),
        ),
        Claim(
            "phase-b-longer-full-batch",
            "Phase B is longer and reaches lower loss with full batches than with SGD.",
            "Section C",
            "phase B, in units of 1/(ηλ), is shorter, or its lowest loss (mean over an epoch) "
            "higher, than under SGD at the nearest product ηλ of Figure 2's band; undecided where "
            "a t-interval of the two ratios over seeds holds 1",
            longer_b,
            pooled=True,
        ),
    ),
)
