"""Figure 11: full-batch descent with a fixed weight norm."""

from limitcycle.paper.experiment import Experiment
from limitcycle.paper.questions.fixed_norm import Spheres, calm_line, claims, draw
from limitcycle.paper.questions.full_batch import full_batch_run, of_scale
from limitcycle.paper.scale import Scale

UNITS = {"quick": 10.0, "laptop": 4.0, "paper": 5.0}

SPHERES = Spheres(
    parent=lambda scale: full_batch_run(scale, of_scale(scale).parent),
    factors=lambda scale: of_scale(scale).factors,
    steps=lambda scale: budget(scale),
)


def budget(scale: Scale) -> int:
    """Steps of a run with a fixed norm."""
    chosen = of_scale(scale)
    return round(scale.of(UNITS) / (chosen.parent * chosen.weight_decay))


FIGURE = Experiment(
    number=11,
    title="No periods of full-batch descent where the weight norm is fixed",
    question="Does full-batch descent keep its periods where weights are rescaled to a fixed norm?",
    runs=SPHERES.runs,
    later=SPHERES.later,
    draw=lambda evidence: [
        *draw(evidence, of_scale(evidence.scale).factors, "steps"),
        calm_line(evidence, SPHERES.factors),
    ],
    choices=(
        "norms of the left pair: from 8 times to a quarter of the initial one; the paper names "
        "none; at these rates the norm rises in a few steps, so that periods lie above it",
        "fixed at 0.75, 0.90, 0.95 and 0.98 of the way to the parent's first destabilisation, as "
        "in Figure 4; the last two are not drawn",
        "budget with a fixed norm: 4/(ηλ) to 10/(ηλ), longer than the way to the first jump",
        "destabilisations are counted as spikes of the loss, as in Figure 4",
        "thin lines: the other seeds",
    ),
    claims=claims(SPHERES, "-full-batch", "Section C, Figure 11"),
)
