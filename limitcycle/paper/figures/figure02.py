"""Figure 2: the scale-invariant ConvNet at eight learning rates, and controls."""

from collections.abc import Callable
from typing import Any

import numpy as np

from limitcycle.paper.claim import Claim, Finding, holds_if, undecided
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.experiment import PANELS, Experiment, Runs
from limitcycle.paper.questions.grids import (
    BAND_REFUTED,
    BEST_REFUTED,
    FREQUENCY_REFUTED,
    Grid,
    band,
    best_inside,
    exponents,
    frequency,
    period_units_rise,
)
from limitcycle.paper.questions.pictures import panels
from limitcycle.paper.questions.products import warm_up_steps
from limitcycle.paper.questions.reading import (
    consistent,
    period_units,
    periodic,
    spikes,
    unbroken,
)
from limitcycle.paper.scale import Scale
from limitcycle.reading.history import History
from limitcycle.report.figure import Figure

CONTROLS: dict[str, dict[str, Any]] = {
    "no weight decay": {"weight_decay": 0.0},
}
REPEATED = 2  # destabilisations make periods; one alone does not
CONTROL_REFUTED = "two spikes of the loss or more"
NO_NORMALISATION = "no normalisation"
OTHERS = {"GroupNorm": "group", "LayerNorm": "layer"}


def runs(scale: Scale) -> Runs:
    """The grid of learning rates, and the controls."""
    grid = {label(lr): scale.shared(lr) for lr in scale.lrs}
    controls = {
        name: scale.run("convnet-cifar10", lr=scale.fast_lr, **changes)
        for name, changes in CONTROLS.items()
    }
    controls[NO_NORMALISATION] = scale.run("convnet-cifar10", lr=scale.lr, norm="none")
    others = {
        at_rate(name, lr): scale.run("convnet-cifar10", lr=lr, norm=norm)
        for name, norm in OTHERS.items()
        for lr in (scale.fast_lr, scale.lr)
    }
    return {**grid, **controls, **others}


def at_rate(name: str, lr: float) -> str:
    """Another normalisation at a learning rate, as a label."""
    return f"{name}, η = {lr:g}"


def label(lr: float) -> str:
    """A learning rate as a label."""
    return f"η = {lr:g}"


def grid(scale: Scale) -> Grid:
    """Its learning rates as a grid."""
    labels = {lr: label(lr) for lr in scale.lrs}
    return Grid("η", labels)


def draw(evidence: Evidence) -> list[Figure]:
    """The paper's four panels at its representative learning rates."""
    return [
        panels(evidence, {label(lr): label(lr) for lr in evidence.scale.shown}, PANELS, "epochs")
    ]


def mean_square(history: History) -> float:
    """Geometric mean of ρ² in the consistent stage."""
    norm = history.columns["norm"][consistent(history)]
    return float(np.exp(np.nanmean(np.log(norm**2))))


def larger_norms(evidence: Evidence) -> Finding:
    """In the consistent stage ρ² ∝ η^e with e between 1/4 and 1 (Proposition 3: 1/2)."""
    found, words = exponents(evidence, grid(evidence.scale), mean_square)
    if not found:
        return undecided("fewer than three learning rates have periods")
    return holds_if(
        0.25 <= found[0] <= 1, "", ours={"exponent of ρ² over η": found[0]}, norms=words
    )


def warm_up(evidence: Evidence) -> Finding:
    """The consistent stage begins later, in steps, at lower learning rates."""
    lengths = [
        (lr, float(np.median([warm_up_steps(history) for history in found])))
        for lr in evidence.scale.lrs
        if len(found := [t for t in evidence[label(lr)] if periodic(t)]) > 0
    ]
    if len(lengths) < 3:
        return undecided("fewer than three learning rates have periods")
    steps = [step for _, step in lengths]
    return holds_if(
        steps == sorted(steps),
        "warm-up over at step " + ", ".join(f"{step:,.0f} (η = {lr:g})" for lr, step in lengths),
    )


def higher_first(evidence: Evidence) -> Finding:
    """The first jump starts at a larger norm than the later ones, at the two main rates.

    The later half of the jumps stands for the consistent stage. That stage itself would not do: it
    is defined as beginning where jumps come down to the norm of the later ones.
    """
    return _larger_at_first(evidence, first_over_later, "norm")


def larger_gradients(evidence: Evidence) -> Finding:
    """The effective gradient before the first jump is larger than before the later ones."""
    return _larger_at_first(evidence, gradient_over_later, "effective gradient")


def _larger_at_first(evidence: Evidence, measure: Callable[[History], float], what: str) -> Finding:
    ratios = {
        f"{what} at the first jump over that at the later ones, η = {lr:g}": measure(history)
        for lr in (evidence.scale.fast_lr, evidence.scale.lr)
        for history in evidence[label(lr)]
        if periodic(history)
    }
    if not ratios:
        return undecided("neither of the two main learning rates has periods")
    return holds_if(all(ratio > 1 for ratio in ratios.values()), "", ours=ratios)


def first_over_later(history: History) -> float:
    """The norm's minimum of the first jump over the median minimum of the later half of them."""
    norm = history.diagnosis.events["norm_turn"].to_numpy(float)
    return float(norm[0] / np.median(norm[len(norm) // 2 :]))


def gradient_over_later(history: History) -> float:
    """The effective gradient (mean over an epoch) where the loss leaves its level, likewise."""
    rows = history.rows_of(history.diagnosis.events["start"].to_numpy(float))
    gradient = history.means["effective_grad_norm"][rows]
    return float(gradient[0] / np.median(gradient[len(gradient) // 2 :]))


def no_periods(control: str, free: Callable[[Scale], str]) -> Callable[[Evidence], Finding]:
    """The check that a control destabilises less than twice; ``free``: the run beside it.

    Both are counted by the loss alone, for the control's norm tells nothing.
    """

    def check(evidence: Evidence) -> Finding:
        (history,) = evidence[control]
        beside = evidence[free(evidence.scale)]
        count = spikes(history)
        if count < REPEATED:  # else it is refuted, however it ended
            unbroken([history])
        return holds_if(
            count < REPEATED,
            history.diagnosis.label,
            ours={"spikes": float(count), "with both": float(max(map(spikes, beside)))},
            spikes=count,
        )

    return check


def has_periods(control: str) -> Callable[[Evidence], Finding]:
    """The check that a control has them at one of the two main rates."""

    def check(evidence: Evidence) -> Finding:
        rates = (evidence.scale.fast_lr, evidence.scale.lr)
        found = {lr: evidence[at_rate(control, lr)][0] for lr in rates}
        units = {
            f"period × ηλ at η = {lr:g}": period_units(history)
            for lr, history in found.items()
            if periodic(history)
        }
        labels = ", ".join(f"{t.diagnosis.label} at {lr:g}" for lr, t in found.items())
        return holds_if(bool(units), "" if units else labels, ours=units)

    return check


FIGURE = Experiment(
    number=2,
    title="Periodic behaviour of the scale-invariant ConvNet on CIFAR-10",
    question="At which learning rates does training with normalisation and weight decay repeat "
    "itself, and is it these two together that make it?",
    runs=runs,
    draw=draw,
    choices=(
        "controls: the paper names no rate. Without weight decay the faster of the two that the "
        "other figures use; without normalisation the slower one, as at the faster some diverge; "
        "other normalisations at both",
        "thin lines: the other seeds",
    ),
    claims=(
        Claim(
            "band-lr",
            "Periods appear in a band of learning rates; below it there are none within the "
            "budget, above it training gets stuck.",
            "Section 5, Figure 2",
            BAND_REFUTED.format("a rate"),
            band(grid),
            published="0.003 to 0.3; stuck at 1, none at 0.001",
        ),
        Claim(
            "band-lr-best-error",
            "The best test error is reached inside the band.",
            "Section 5, Figure 2",
            BEST_REFUTED,
            best_inside(grid),
            published="15.5–17 % at 0.03, 17–18.5 % at 0.01; 23–50 % at 1, 29 % at 0.001",
            pooled=True,
        ),
        Claim(
            "frequency-lr",
            "The higher the learning rate, the shorter the periods.",
            "Section 5",
            FREQUENCY_REFUTED.format("η"),
            frequency(grid),
            published="about 25,000 steps at 0.03, 86,000 at 0.01",
            pooled=True,
        ),
        Claim(
            "period-units-lr",
            "In units of 1/(ηλ) periods are a little longer at lower learning rates.",
            "Figure 2, read off",
            "the exponent e of period × ηλ ∝ η^e, fitted for each seed where all have periods, has "
            "a mean above 0; undecided where its t-interval holds 0",
            period_units_rise(grid),
            published="0.75 at 0.03, 0.86 at 0.01",
            pooled=True,
        ),
        Claim(
            "norm-lr",
            "Higher learning rates lead to larger norms in the consistent stage.",
            "Section 5, Proposition 3 (ρ² ∝ √η at equal effective gradients)",
            "a fitted exponent of ρ² ∝ η^e outside of 1/4 … 1",
            larger_norms,
            published="3–12 at 0.03; 6.6 at the first jump and 1.8 at the fourth at 0.01",
        ),
        Claim(
            "warm-up-lr",
            "The warm-up is longer at low learning rates.",
            "Section 5",
            "it (until the consistent stage, or the first jump where its beginning is not known; "
            "steps) is shorter at a lower learning rate",
            warm_up,
            published="first jump near epoch 65 at 0.03, 200 at 0.01",
        ),
        Claim(
            "warm-up-jumps-norm",
            "Jumps of the warm-up happen at larger norms than those of the consistent stage.",
            "Section 5",
            "at one of the two main learning rates, where it has periods, the norm's minimum at "
            "the first jump is no larger than its median over the later half of the jumps",
            higher_first,
            published="6.6 at the first jump, 1.8 at the fourth (0.01)",
        ),
        Claim(
            "warm-up-jumps-gradient",
            "Before jumps of the warm-up effective gradients are larger than before those of the "
            "consistent stage.",
            "Section 5 (a hypothesis there)",
            "at one of the two main learning rates, where it has periods, the effective gradient "
            "(mean over an epoch) at the last step before the first jump is no larger than its "
            "median over the later half of the jumps",
            larger_gradients,
        ),
        Claim(
            "control-weight-decay",
            "Without weight decay there are no periods.",
            "Section 3",
            CONTROL_REFUTED,
            no_periods("no weight decay", lambda scale: label(scale.fast_lr)),
        ),
        Claim(
            "control-normalisation",
            "Without normalisation there are no periods.",
            "Section 3",
            CONTROL_REFUTED,
            no_periods(NO_NORMALISATION, lambda scale: label(scale.lr)),
        ),
        Claim(
            "group-norm",
            "With GroupNorm there are periods, too.",
            "beyond the paper, which believes it (Section 7)",
            "no periods at either of the two main rates",
            has_periods("GroupNorm"),
        ),
        Claim(
            "layer-norm",
            "With LayerNorm there are periods, too.",
            "beyond the paper, which believes it (Section 7)",
            "no periods at either of the two main rates",
            has_periods("LayerNorm"),
        ),
    ),
)
