"""Figure 9: full-batch gradient descent at several learning rates."""

from limitcycle.paper.claim import Claim, Finding, holds_if
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.experiment import PANELS, Experiment, Runs
from limitcycle.paper.questions.full_batch import full_batch_run, label, of_scale
from limitcycle.paper.questions.grids import FREQUENCY_REFUTED, Grid, frequency
from limitcycle.paper.questions.pictures import panels
from limitcycle.paper.questions.reading import jumps, periodic
from limitcycle.paper.scale import Scale
from limitcycle.report.figure import Figure


def runs(scale: Scale) -> Runs:
    """One run a learning rate."""
    return {label(lr): full_batch_run(scale, lr) for lr in of_scale(scale).lrs}


def grid(scale: Scale) -> Grid:
    """Its learning rates as a grid."""
    return Grid("η", {lr: label(lr) for lr in of_scale(scale).lrs})


def draw(evidence: Evidence) -> list[Figure]:
    """The paper's four panels at all learning rates."""
    labels = {label(lr): label(lr) for lr in of_scale(evidence.scale).lrs}
    return [panels(evidence, labels, PANELS, "steps")]


def has_periods(evidence: Evidence) -> Finding:
    """There are periods at two learning rates or more."""
    found = {lr: evidence[label(lr)][0] for lr in of_scale(evidence.scale).lrs}
    return holds_if(
        sum(map(periodic, found.values())) >= 2,
        "",
        ours={f"destabilisations at η = {lr:g}": float(jumps(t)) for lr, t in found.items()},
    )


FIGURE = Experiment(
    number=9,
    title="Periodic behaviour of full-batch gradient descent",
    question="Are the periods a matter of stochastic gradients, or does full-batch descent have "
    "them, too?",
    runs=runs,
    draw=draw,
    choices=(
        "learning rates: the paper says several; ours reach from none to many periods in the "
        "budget, and at paper scale hold those of Figures 10 to 12",
        "number of steps: the paper names none; ours is 5/(ηλ) to 20/(ηλ) at the rates of Figures "
        "10 and 11",
    ),
    claims=(
        Claim(
            "full-batch-periods",
            "Full-batch gradient descent has periods: they do not come from stochastic gradients.",
            "Section C, Figure 9",
            "fewer than two learning rates with periods",
            has_periods,
        ),
        Claim(
            "full-batch-frequency",
            "With full batches, too, the higher the learning rate, the shorter the periods.",
            "Sections 5 and C, Figure 9",
            FREQUENCY_REFUTED.format("η"),
            frequency(grid),
            pooled=True,
        ),
    ),
)
