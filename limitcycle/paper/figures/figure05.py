"""Figure 5: how alike the minima of different periods are, for a ConvNet and a ResNet-18.

Runs, drawing and checks are written for any two pairs of network and data: Figure 18 has the other
two.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from limitcycle.paper.evidence import Evidence, MissingError
from limitcycle.paper.experiment import Experiment, Runs
from limitcycle.paper.figures.figure15 import grid_run
from limitcycle.paper.questions.minima import Similarity, similarity
from limitcycle.paper.questions.pictures import thinned
from limitcycle.paper.questions.similarity import claims_of, independent
from limitcycle.paper.scale import Pair, Scale
from limitcycle.reading.clock import Clock
from limitcycle.reading.history import History
from limitcycle.report.figure import RUN_COLOURS, Axis, Figure, Key, Line, Mark, Panel, Points

PAIRS: tuple[Pair, ...] = ("convnet-cifar10", "resnet18-cifar100")
ANCHOR, INDEPENDENT, ALONE = RUN_COLOURS[0], RUN_COLOURS[1], RUN_COLOURS[6]


def runs_of(pairs: Sequence[Pair]) -> Callable[[Scale], Runs]:
    """Of every pair a run at the fast rate, and one from another seed."""

    def runs(scale: Scale) -> Runs:
        found: Runs = {}
        for pair in pairs:
            run = grid_run(scale, pair, scale.fast_lr)
            found[pair] = run
            found[independent(pair)] = replace(run, seed=run.seed + 1)
        return found

    return runs


def draw_of(pairs: Sequence[Pair]) -> Callable[[Evidence], list[Figure]]:
    """Of every pair two panels: cosine similarity, and test error of the ensemble of two."""

    def draw(evidence: Evidence) -> list[Figure]:
        scale = evidence.scale
        rows = []
        for pair in pairs:
            title = f"{scale.title(pair)}, η = {scale.fast_lr:g}, λ = {scale.weight_decay:g}"
            seeds = [
                _row(found, _clock(history, found), title, with_keys=pair == pairs[0])
                for history, found in _found(evidence, pair)
            ]
            rows.append(_over(seeds))
        return rows

    return draw


def _found(evidence: Evidence, pair: Pair) -> list[tuple[History, Similarity]]:
    """Runs with their similarities, the first seed first; the others where they have an anchor."""
    pairs = list(zip(evidence[pair], evidence[independent(pair)], strict=True))
    found = [(pairs[0][0], similarity(*pairs[0]))]
    for history, other in pairs[1:]:
        with contextlib.suppress(MissingError):
            found.append((history, similarity(history, other)))
    return found


def _over(seeds: Sequence[Figure]) -> Figure:
    """The first figure with thin lines of the others behind."""
    first, *others = seeds
    panels = tuple(
        replace(
            panel,
            marks=(*(m for each in others for m in thinned(each.panels[at])), *panel.marks),
        )
        for at, panel in enumerate(first.panels)
    )
    return replace(first, panels=panels)


def _row(found: Similarity, clock: Clock, title: str, *, with_keys: bool) -> Figure:
    anchor = _at(clock, np.array([found.anchor]))
    one = np.ones(1)
    cosine: tuple[Mark, ...] = (
        Line(clock, found.cosine, ANCHOR, "with the anchor", walk=True),
        Line(clock, found.other_cosine, INDEPENDENT, "with an independent network"),
        Points(anchor, one, ANCHOR, "anchor", size=8.0),
    )
    errors: tuple[Mark, ...] = (
        Line(clock, 100 * found.error, ALONE, "alone", width=0.9),
        Line(clock, 100 * found.ensemble, ANCHOR, "with the anchor", walk=True),
        Line(clock, 100 * found.other_ensemble, INDEPENDENT, "with an independent network"),
        Points(anchor, 100 * found.error[[found.anchor]], ANCHOR, "anchor", size=8.0),
    )
    percent = Axis("test error, %", log=True)
    panels = (
        Panel("cosine", "Weight space", Axis("cosine similarity", limits=(-0.1, 1.05)), cosine),
        Panel("ensemble", "Function space: ensembles of two", percent, errors),
    )
    keys = (
        Key("with the anchor (dot)", ANCHOR),
        Key("with an independent network", INDEPENDENT),
        Key("snapshot alone", ALONE),
    )
    return Figure(panels, "epochs", keys if with_keys else (), title, columns=2)


def _clock(history: History, found: Similarity) -> Clock:
    """The snapshots' instants in steps and epochs."""
    epochs = history.clock.epochs
    per_step = float(epochs[-1] / history.clock.steps[-1]) if epochs is not None else np.nan
    return Clock(found.steps, found.steps * per_step)


def _at(clock: Clock, rows: NDArray[np.int64]) -> Clock:
    assert clock.epochs is not None
    return Clock(clock.steps[rows], clock.epochs[rows])


CHOICES = (
    "cosine of all scale-invariant weights as one vector: the paper says plain cosine similarity, "
    "and its norm ρ is joint, too; layers are not brought to one norm first",
    "snapshots at a hundred instants of the run: several to a period, and few enough to keep",
    "the anchor is the snapshot with the lowest training loss in phase B of the first period of "
    "the consistent stage in which there is one",
    "the independent network has the next seed and is taken at the snapshot whose test error is "
    "nearest to the anchor's; test errors are those of the run's own test images: all there "
    "are, but at laptop scale a thousand of ten thousand",
    "an ensemble is the mean of two softmax outputs",
    "thin lines: the other seeds",
)
FIGURE = Experiment(
    number=5,
    title="Similarity of minima: weight space and ensembles",
    question="Does training come back to the same minimum after a destabilisation, or does it "
    "find another, and how different a one?",
    runs=runs_of(PAIRS),
    draw=draw_of(PAIRS),
    choices=CHOICES,
    claims=claims_of("convnet-cifar10", "resnet18-cifar100", "Section 5, Figure 5"),
)
