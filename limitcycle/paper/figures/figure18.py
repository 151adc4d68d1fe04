"""Figure 18: how alike the minima of different periods are, for the other two networks."""

from limitcycle.paper.experiment import Experiment
from limitcycle.paper.figures.figure05 import CHOICES, draw_of, runs_of
from limitcycle.paper.questions.similarity import claims_of
from limitcycle.paper.scale import Pair

PAIRS: tuple[Pair, ...] = ("convnet-cifar100", "resnet18-cifar10")

FIGURE = Experiment(
    number=18,
    title="Similarity of minima for other networks and data",
    question="Is what Figure 5 shows of minima the same with network and data exchanged?",
    runs=runs_of(PAIRS),
    draw=draw_of(PAIRS),
    choices=(*CHOICES, "at quick scale the twins are those of Figure 5, where they are judged"),
    claims=claims_of("resnet18-cifar10", "convnet-cifar100", "Appendix G, Figure 18"),
)
