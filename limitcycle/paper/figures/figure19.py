"""Figure 19: all practical modifications together, for the other networks and data."""

from collections.abc import Mapping

from limitcycle.paper.claim import Claim
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.experiment import Experiment, Runs
from limitcycle.paper.figures import figure15
from limitcycle.paper.figures.figure15 import grid_run
from limitcycle.paper.questions.practical import Labels, row, together_claims, together_run
from limitcycle.paper.scale import Pair, Scale
from limitcycle.report.figure import Figure

PAIRS = figure15.PAIRS
RATES: Mapping[str, tuple[float, ...]] = {
    "quick": (0.3, 0.1, 0.03, 0.01),
    "laptop": (1.0, 0.3, 0.1, 0.03),
    "workstation": (1.0, 0.3, 0.1, 0.03),
    "paper": (0.3, 0.1, 0.03, 0.01, 0.003, 0.001),
}


def runs(scale: Scale) -> Runs:
    """Every pair with all modifications at every rate, and the grid of Figure 15 without them."""
    found: Runs = {}
    for pair in PAIRS:
        for lr, name in together(pair)(scale).items():
            found[name] = together_run(scale, pair, lr)
        for lr, name in plain(pair)(scale).items():
            found[name] = grid_run(scale, pair, lr)
    return found


def together(pair: Pair) -> Labels:
    """The learning rates of a pair with all modifications, and their labels."""
    return lambda scale: {lr: f"{pair}, all together, η = {lr:g}" for lr in scale.of(RATES)}


def plain(pair: Pair) -> Labels:
    """The learning rates of the scale-invariant net trained by plain SGD, and their labels."""
    return lambda scale: {lr: figure15.label(pair, lr) for lr in figure15.rates(scale)}


def draw(evidence: Evidence) -> list[Figure]:
    """A row a pair, all rates in it; pairs with the same runs share one."""
    scale = evidence.scale
    titles: dict[tuple[str, ...], list[str]] = {}
    first: dict[tuple[str, ...], Pair] = {}
    for pair in PAIRS:
        names = together(pair)(scale).values()
        same = tuple(evidence.first(name).source.run.identity for name in names)
        titles.setdefault(same, []).append(scale.title(pair))
        first.setdefault(same, pair)
    return [_row(evidence, first[same], " = ".join(titles[same])) for same in first]


def _row(evidence: Evidence, pair: Pair, title: str) -> Figure:
    labels = {name: f"η = {lr:g}" for lr, name in together(pair)(evidence.scale).items()}
    decay = evidence.first(next(iter(labels))).weight_decay
    return row(evidence, labels, f"{title}, λ = {decay:g}")


def _claims(pair: Pair) -> tuple[Claim, ...]:
    return together_claims(pair, plain(pair), together(pair), "Appendix H, Figure 19")


FIGURE = Experiment(
    number=19,
    title="All practical modifications together for other networks and data",
    question="Are there periods in a practical setting with other networks and data, too, and in "
    "how wide a band of learning rates?",
    runs=runs,
    draw=draw,
    choices=(
        "learning rates: as many of the paper's steps (1, 3, 10, …) as it takes to see the band's "
        "ends, the same for all pairs",
        "at quick scale 128 digits, at laptop scale 256 images, both at λ = 0.001, as in Figure 6",
        "at quick scale the twins of both ConvNets, and of both ResNets, are the same runs; those "
        "of the ConvNet are judged with Figure 6",
        "the band without modifications is Figure 15's; bands are compared as ratios of learning "
        "rates, which λ does not change",
    ),
    claims=tuple(claim for pair in PAIRS for claim in _claims(pair)),
    elsewhere=("convnet-cifar10-wide",),
)
