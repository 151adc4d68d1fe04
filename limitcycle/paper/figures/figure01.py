"""Figure 1: the practical networks, all of their weights trained, at several learning rates."""

from limitcycle.paper.claim import Claim, Finding, holds_if
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.experiment import Experiment, Runs
from limitcycle.paper.questions.pictures import panels
from limitcycle.paper.questions.practical import TRAINED, WITH_CONFIDENCE
from limitcycle.paper.questions.reading import period_units, periodic
from limitcycle.paper.scale import Pair, Scale
from limitcycle.report.figure import Figure

PAIRS: tuple[Pair, ...] = ("convnet-cifar10-wide", "resnet18-cifar100")
RATES = {"quick": (1.0, 0.3, 0.1), "laptop": (1.0, 0.3, 0.1), "paper": (0.1, 0.03, 0.01)}
SHOWN = ("loss", "test_error", "norm")


def runs(scale: Scale) -> Runs:
    """Both pairs at every rate; one run is Figure 6's, which also logs confidence."""
    settings = {**scale.of(WITH_CONFIDENCE), **TRAINED}
    return {
        label(pair, lr): scale.run(pair, lr=lr, **settings)
        for pair in PAIRS
        for lr in scale.of(RATES)
    }


def label(pair: Pair, lr: float) -> str:
    """A run as a label."""
    return f"{pair}, η = {lr:g}"


def draw(evidence: Evidence) -> list[Figure]:
    """A row a network: training loss, test error, norm."""
    scale = evidence.scale
    return [
        panels(
            evidence,
            {label(pair, lr): f"η = {lr:g}" for lr in scale.of(RATES)},
            SHOWN,
            "epochs",
            scale.title(pair),
        )
        for pair in PAIRS
    ]


def has_periods(pair: Pair) -> Claim:
    """The claim that there are periods although all weights are trained."""

    def check(evidence: Evidence) -> Finding:
        found = {lr: evidence[label(pair, lr)] for lr in evidence.scale.of(RATES)}
        units = {
            f"period × ηλ at η = {lr:g}": period_units(histories[0])
            for lr, histories in found.items()
            if periodic(histories[0])
        }
        return holds_if(bool(units), "" if units else "no periods at any rate", ours=units)

    return Claim(
        f"all-trained-{pair}",
        "periods are there when all weights are trained, too.",
        "Figure 1, Section 6",
        "no rate with periods",
        check,
        pair=pair,
    )


FIGURE = Experiment(
    number=1,
    title="Periods of ordinary networks, all weights trained",
    question="Do networks as they are used, with learnable BatchNorm parameters and a trained "
    "head, have periods?",
    runs=runs,
    draw=draw,
    choices=(
        "learning rates: the two main ones of Figure 2 and the next higher: the paper's picture "
        "does not name them in its text",
        "width of the ConvNet: 64 at paper scale, as for all experiments with trained heads",
        "the norm drawn is that of the scale-invariant weights alone",
    ),
    claims=tuple(map(has_periods, PAIRS)),
)
