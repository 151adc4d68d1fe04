"""Training as it is done in practice (Section 6): modifications, their runs, and shared checks.

Figure 6 adds them to one experiment one at a time and all together, Figure 19 has all together for
the other pairs of network and data.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from limitcycle.paper.claim import Claim, Finding, holds_if, undecided
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.questions.pictures import panels, thinned
from limitcycle.paper.questions.reading import listed, period_units, periodic, share
from limitcycle.paper.scale import Pair, Scale
from limitcycle.reading.clock import Array
from limitcycle.reading.history import History
from limitcycle.record import Run
from limitcycle.report.figure import RUN_COLOURS, Axis, Figure, Line, Mark, Panel

Check = Callable[[Evidence], Finding]
Labels = Callable[[Scale], Mapping[float, str]]  # learning rate → label of its runs

SHOWN = ("loss", "test_error", "norm")
TRAINED: Mapping[str, Any] = {"norm": "batch-affine", "head_norm": None, "train_head": True}
MOMENTUM: Mapping[str, Any] = {"momentum": 0.9}
AUGMENTED: Mapping[str, Any] = {"augment": True}
TOGETHER: Mapping[str, Any] = {**TRAINED, **MOMENTUM, **AUGMENTED}
# Confidence takes an additional pass over the training set; at paper scale every epoch has one.
WITH_CONFIDENCE: Mapping[str, Mapping[str, Any]] = {
    "quick": {"train_pass": True, "eval_every": 110},
    "laptop": {"train_pass": True, "eval_every": 160},
    "workstation": {"train_pass": True, "eval_every": 790},
    "paper": {},
}
# Small nets learn augmented images only where these are few; momentum multiplies the effective
# rate by ten, and weight decay on a trained head costs confidence, so λ is smaller here.
TOGETHER_AT: Mapping[str, Mapping[str, Any]] = {
    "quick": {"train_size": 128, "weight_decay": 0.001},
    "laptop": {"train_size": 256, "weight_decay": 0.001},
    "paper": {},
}
WIDER: Mapping[str, Mapping[str, Any]] = {"laptop": {"width": 16, "steps": 6_000}}  # ConvNets


def together_run(scale: Scale, pair: Pair, lr: float, **changes: Any) -> Run:
    """All modifications together."""
    settings = {**scale.of(WITH_CONFIDENCE), **scale.of(TOGETHER_AT)}
    if pair.startswith("convnet"):
        settings |= WIDER.get(scale.name, {})
    settings |= changes
    return scale.run(pair, lr=lr, **TOGETHER, **settings)


def confidence(history: History) -> float:
    """Median of the last half of the run: mean largest softmax on the training set; may be NaN."""
    values = _confidences(history)
    return float(np.median(values[len(values) // 2 :])) if len(values) else float("nan")


def _confidences(history: History) -> Array:
    epochs = history.source.epochs
    if "confidence" not in epochs:
        return np.empty(0)
    values: Array = epochs["confidence"].to_numpy(dtype=float)
    return values[np.isfinite(values)]


def row(evidence: Evidence, labels: Mapping[str, str], title: str) -> Figure:
    """Loss, test error, norm and confidence of some runs, each label named in words."""
    figure = panels(evidence, labels, SHOWN, "epochs", title)
    runs = [
        [replace(history, label=words) for history in evidence[label]]
        for label, words in labels.items()
    ]
    confident = confidence_panel([histories[0] for histories in runs])
    behind = [
        mark
        for seed in range(1, min(map(len, runs)))
        for mark in thinned(confidence_panel([histories[seed] for histories in runs]))
    ]
    confident = replace(confident, marks=(*behind, *confident.marks))
    return replace(figure, panels=(*figure.panels, confident))


def confidence_panel(histories: Sequence[History]) -> Panel:
    """Confidence against time, colours as in the panels beside it."""
    marks: list[Mark] = []
    for at, history in enumerate(histories):
        epochs = history.source.epochs
        if not len(_confidences(history)):
            continue
        values = epochs["confidence"].to_numpy(dtype=float)
        colour = RUN_COLOURS[at % len(RUN_COLOURS)]
        marks.append(Line(history.test_clock, values, colour, history.label, at, width=0.9))
    note = "" if marks else "confidence was not measured"
    axis = Axis("largest softmax")
    return Panel("confidence", "Confidence on training set", axis, tuple(marks), note=note)


def first_jump(history: History) -> float:
    """The step at which the first destabilisation starts; infinity without any."""
    starts = history.diagnosis.events["start"]
    return float(starts.iloc[0]) if len(starts) else float("inf")


def median(values: Sequence[float]) -> float:
    """The median; NaN of none."""
    return float(np.median(values)) if len(values) else float("nan")


def seed_periods(histories: Sequence[History]) -> list[float]:
    """The median period of every seed that has periods, in steps."""
    return [float(history.diagnosis.period) for history in histories if periodic(history)]


def keeps_periods(label: str) -> Check:
    """The check that most seeds of a label are periodic."""

    def check(evidence: Evidence) -> Finding:
        histories = evidence[label]
        return holds_if(
            share(map(periodic, histories)) > 0.5,
            ", ".join(history.diagnosis.label for history in histories),
            ours={"period × ηλ": period_units(histories[0])} if periodic(histories[0]) else {},
        )

    return check


def somewhere(labels: Labels) -> Check:
    """The check that a seed is periodic at one learning rate at least."""

    def check(evidence: Evidence) -> Finding:
        shares = {
            lr: share(map(periodic, evidence[name])) for lr, name in labels(evidence.scale).items()
        }
        best = max(shares, key=shares.__getitem__)
        found = [lr for lr, part in shares.items() if part > 0.5]
        seen = [history.diagnosis.label for history in evidence[labels(evidence.scale)[best]]]
        return holds_if(
            bool(found),
            f"periodic at η = {listed(found, 'g')}" + ("" if found else f"; {', '.join(seen)}"),
            share={f"{lr:g}": part for lr, part in shares.items()},
        )

    return check


def narrower(plain: Labels, together: Labels) -> Check:
    """The ratio of the highest to the lowest learning rate with periods shrinks.

    A band that reaches an end of its grid is only known to be at least so wide.
    """

    def check(evidence: Evidence) -> Finding:
        scale = evidence.scale
        without, with_all = (band_of(evidence, grid(scale)) for grid in (plain, together))
        if not without or not with_all:
            return undecided("no periods " + ("without" if not without else "with") + " them")
        wide, narrow = (max(found) / min(found) for found in (without, with_all))
        words = (
            f"periods at η = {listed(sorted(with_all), 'g')} with all modifications, a factor of "
            f"{narrow:.2g}; from {min(without):g} to {max(without):g} without, {wide:.2g}"
        )
        rates = together(scale)
        if narrow < wide and (min(with_all) == min(rates) or max(with_all) == max(rates)):
            return undecided(f"the band reaches an end of the grid: {words}")
        return holds_if(narrow < wide, words, band=with_all, plain=without)

    return check


def band_of(evidence: Evidence, labels: Mapping[float, str]) -> list[float]:
    """The learning rates at which most seeds are periodic."""
    return [lr for lr, name in labels.items() if share(map(periodic, evidence[name])) > 0.5]


def together_claims(pair: Pair, plain: Labels, together: Labels, source: str) -> tuple[Claim, ...]:
    """The claims about one pair with all modifications together."""
    on = "with all modifications together "
    return (
        Claim(
            f"together-periods-{pair}",
            f"{on}there are periods at some learning rate.",
            source,
            "no learning rate with periods",
            somewhere(together),
            pair=pair,
        ),
        Claim(
            f"together-band-{pair}",
            f"{on}the band of learning rates with periods is narrower.",
            f"Section 6, {source}",
            "the ratio of the highest to the lowest learning rate with periods is no smaller than "
            "for the scale-invariant net trained by plain SGD; undecided where it is smaller and "
            "the band reaches an end of its grid",
            narrower(plain, together),
            pair=pair,
        ),
    )
