"""Figure 16: grids of weight decays at one learning rate, for all four pairs."""

from limitcycle.paper.claim import Claim
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.experiment import Experiment, Runs
from limitcycle.paper.figures import figure15
from limitcycle.paper.questions.grids import Grid, GridOf, claims_of, frequency_claim, rows
from limitcycle.paper.scale import Pair, Scale
from limitcycle.record import Run
from limitcycle.report.figure import Figure

PAIRS: tuple[Pair, ...] = ("convnet-cifar10", *figure15.PAIRS)
WEIGHT_DECAYS = {  # largest first
    "quick": (0.3, 0.1, 0.03, 0.01, 0.003, 0.0003),
    "laptop": (0.3, 0.015, 0.005, 0.0015, 0.0003, 0.0001, 0.00003),
    "paper": (0.1, 0.01, 0.003, 0.001, 0.0003, 0.00001),
}
SHOWN = {"quick": (0.3, 0.03, 0.01, 0.0003)}  # all of them where none are named
STEPS = {"quick": 2_000}  # enough for the periods that a grid asks for; else the scale's own


def runs(scale: Scale) -> Runs:
    """Every pair at every weight decay."""
    return {
        label(pair, value): grid_run(scale, pair, value)
        for pair in PAIRS
        for value in scale.of(WEIGHT_DECAYS)
    }


def grid_run(scale: Scale, pair: Pair, weight_decay: float) -> Run:
    """One cell at the faster rate, shared with Figures 2 and 15 at the scale's weight decay."""
    if scale.name in STEPS:
        steps = STEPS[scale.name]
        return scale.run(pair, lr=scale.fast_lr, weight_decay=weight_decay, steps=steps)
    if weight_decay != scale.weight_decay:
        return scale.run(pair, lr=scale.fast_lr, weight_decay=weight_decay)
    if pair == "convnet-cifar10":
        return scale.shared(scale.fast_lr)
    return figure15.grid_run(scale, pair, scale.fast_lr)


def label(pair: Pair, weight_decay: float) -> str:
    """A cell of the grids as a label."""
    return f"{pair}, λ = {weight_decay:g}"


def grid(pair: Pair) -> GridOf:
    """A pair's weight decays as a grid."""
    return lambda scale: Grid("λ", {v: label(pair, v) for v in scale.of(WEIGHT_DECAYS)})


def draw(evidence: Evidence) -> list[Figure]:
    """A row a pair: the paper's four panels at representative weight decays."""
    scale = evidence.scale
    grids = {pair: grid(pair)(scale) for pair in PAIRS}
    return rows(evidence, grids, SHOWN.get(scale.name, scale.of(WEIGHT_DECAYS)))


_SOURCE = "Appendix E.3"


def _claims(pair: Pair) -> tuple[Claim, ...]:
    described = (pair, grid(pair), "weight-decay", "weight decay", _SOURCE)
    return (*claims_of(*described), frequency_claim(*described))


FIGURE = Experiment(
    number=16,
    title="Weight decays at one learning rate",
    question="Is there a band of weight decays with periods at a fixed learning rate, and do "
    "larger ones make them shorter?",
    runs=runs,
    draw=draw,
    choices=(
        "learning rate: the faster of the two that the other figures use, so that several periods "
        "fit the budget over a decade of weight decays or more",
        "weight decays: from a product ηλ at which Figure 2 is stuck to one that is too small for "
        "a first jump within the budget, several between them",
        "thin lines: the other seeds",
        "at quick scale half of the budget of Figure 2, the same for all weight decays",
        "at quick scale the twins of both ConvNets, and of both ResNets, are the same runs",
    ),
    claims=tuple(claim for pair in PAIRS for claim in _claims(pair)),
)
