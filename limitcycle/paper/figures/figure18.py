"""Figure 18: how alike the minima of different periods are, for the other two networks."""

from limitcycle.paper.experiment import Experiment
from limitcycle.paper.figures.figure05 import CHOICES, draw_of, runs_of
from limitcycle.paper.figures.figure05 import PAIRS as FIGURE_5
from limitcycle.paper.questions.similarity import claims_of, faster_claim
from limitcycle.paper.scale import Pair

PAIRS: tuple[Pair, ...] = ("convnet-cifar100", "resnet18-cifar10")

FIGURE = Experiment(
    number=18,
    title="Similarity of minima for other networks and data",
    question="Is what Figure 5 shows of minima the same with network and data exchanged?",
    runs=runs_of((*PAIRS, *FIGURE_5)),
    draw=draw_of(PAIRS),
    choices=(
        *CHOICES,
        "at quick scale the twins are those of Figure 5, where they are judged",
        "how fast similarity falls is compared between data sets for the same network: its runs of "
        "Figure 5 stand beside those of this figure",
    ),
    claims=(
        *claims_of("resnet18-cifar10", "convnet-cifar100", "Appendix G, Figure 18"),
        faster_claim("convnet-cifar10", "convnet-cifar100", "ConvNet"),
        faster_claim("resnet18-cifar10", "resnet18-cifar100", "ResNet-18"),
    ),
    elsewhere=FIGURE_5,
)
