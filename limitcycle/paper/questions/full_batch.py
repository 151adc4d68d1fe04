"""The full-batch runs that Figures 9 to 12 share."""

from collections.abc import Mapping
from dataclasses import dataclass

from limitcycle.paper.questions.phases import AT_MOST
from limitcycle.paper.scale import Scale
from limitcycle.record import Run


@dataclass(frozen=True)
class FullBatch:
    """Full-batch descent at one scale.

    Attributes:
        lrs: of Figure 9, largest first.
        weight_decay: of all full-batch runs.
        close: the learning rate of which Figures 10 and 12 show a period.
        parent: the one from which Figure 11 starts.
        factors: on the initialisation, of Figure 11's left pair, largest first.
        sgd: of Figure 2's rates with periods the one whose product ηλ is nearest to that of
            ``close``, as a ratio.
    """

    lrs: tuple[float, ...]
    weight_decay: float
    close: float
    parent: float
    factors: tuple[float, ...]
    sgd: float


FULL_BATCH: Mapping[str, FullBatch] = {
    "quick": FullBatch((30.0, 10.0, 5.0, 1.0), 0.001, 10.0, 10.0, (8.0, 2.0, 1.0, 0.25), 0.3),
    "laptop": FullBatch((10.0, 3.0, 2.0, 0.3), 0.001, 3.0, 3.0, (8.0, 2.0, 1.0, 0.25), 0.3),
    "workstation": FullBatch((3.0, 1.0, 0.5, 0.1), 0.0003, 1.0, 1.0, (8.0, 2.0, 1.0, 0.25), 0.3),
    "paper": FullBatch((3.0, 1.0, 0.5, 0.1), 0.0001, 0.5, 1.0, (8.0, 4.0, 1.0, 0.25), 0.03),
}


def of_scale(scale: Scale) -> FullBatch:
    """The full-batch settings at ``scale``."""
    return scale.of(FULL_BATCH)


def full_batch_run(scale: Scale, lr: float) -> Run:
    """One of Figure 9's runs: snapshots at a hundred instants, its error every ten steps."""
    steps = scale.worlds["convnet-cifar10-full-batch"].steps
    return scale.run(
        "convnet-cifar10-full-batch",
        lr=lr,
        weight_decay=of_scale(scale).weight_decay,
        snapshot_every=steps // 100,
        eval_every=AT_MOST,
        train_pass=True,
    )


def label(lr: float) -> str:
    """A full-batch run's learning rate as a label."""
    return f"η = {lr:g}, full batch"
