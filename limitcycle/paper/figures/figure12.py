"""Figure 12: effective gradient and cosine distance in phase B, SGD beside full-batch descent."""

from limitcycle.errors import UserError
from limitcycle.paper.claim import Claim, Finding, above, undecided
from limitcycle.paper.evidence import Evidence, MissingError
from limitcycle.paper.experiment import Experiment, Runs
from limitcycle.paper.figures import figure02
from limitcycle.paper.questions.bounded import (
    FULL_BATCH_RULE,
    SGD_RULE,
    PhaseB,
    bounds_hold,
    grows_late,
    median_growth,
    phase_b,
)
from limitcycle.paper.questions.closeup import KEYS, distance_lines, gradient_lines
from limitcycle.paper.questions.full_batch import full_batch_run, label, of_scale
from limitcycle.paper.questions.phases import of_label, require_period
from limitcycle.paper.scale import Scale
from limitcycle.paper.spread import as_ratio, log_ratio, spread
from limitcycle.reading.history import History
from limitcycle.report.figure import RUN_COLOURS, Figure, Line, Mark, Panel
from limitcycle.report.panels import CURVES
from limitcycle.report.thin import rows_to_draw

ROWS = 1_500
RULES = {"SGD": SGD_RULE, "full batch": FULL_BATCH_RULE}
_FULL_BATCH = of_label(lambda evidence: names(evidence.scale)["full batch"])


def names(scale: Scale) -> dict[str, str]:
    """The labels of the two runs."""
    return {"SGD": figure02.label(scale.lr), "full batch": label(of_scale(scale).close)}


def runs(scale: Scale) -> Runs:
    """SGD's run of Figure 3 and the full-batch run of Figure 10."""
    chosen = names(scale)
    return {
        chosen["SGD"]: scale.shared(scale.lr),
        chosen["full batch"]: full_batch_run(scale, of_scale(scale).close),
    }


def draw(evidence: Evidence) -> list[Figure]:
    """Two panels a run: effective gradient with ℓ and L, cosine distance with δmin and δmax."""
    panels = [
        panel
        for who, name in names(evidence.scale).items()
        for panel in _pair(evidence.first(name), who)
    ]
    return [Figure(tuple(panels), "steps", KEYS[:2], columns=4)]


def _pair(history: History, who: str) -> list[Panel]:
    try:
        phase = phase_b(history, require_period(history), RULES[who])
    except UserError as problem:
        raise MissingError(str(problem)) from None
    return [
        Panel(f"{name}-{who}", f"{who}: {title}", axis, (*_curve(history, phase, name), *lines))
        for name, title, lines in (
            ("effective_grad_norm", "gradient", gradient_lines(history, phase)),
            ("cosine_distance", "distance", distance_lines(history, phase)),
        )
        for axis in [CURVES[name][1]]
    ]


def _curve(history: History, phase: PhaseB, name: str) -> list[Mark]:
    """The values of phase B, faint, and their mean over an epoch."""
    rows = rows_to_draw(history, ROWS, slice(int(phase.rows[0]), int(phase.rows[-1]) + 1))
    at, raw, mean = history.clock.take(rows), history.columns[name], history.means[name]
    line = Line(at, mean[rows], RUN_COLOURS[0], history.label, walk=True)
    return [line] if raw is mean else [
        Line(at, raw[rows], RUN_COLOURS[0], width=0.5, opacity=0.35), line
    ]  # fmt: skip


def more_prominent(evidence: Evidence) -> Finding:
    """The growth of the cosine distance over phase B's second half is larger with full batches."""
    factors = {
        who: [median_growth(history) for history in evidence[name]]
        for who, name in names(evidence.scale).items()
    }
    ratio = log_ratio(factors["full batch"], factors["SGD"])
    if not ratio.known:
        return undecided("fewer than two seeds of full batch or SGD have a complete period")
    words = (
        f"grows by a factor of {spread(factors['full batch'])} with full batches, "
        f"{spread(factors['SGD'])} with SGD"
    )
    return above(ratio, 0.0, f"{words}: {as_ratio(ratio)}", factors=factors)


FIGURE = Experiment(
    number=12,
    title="Effective gradient and cosine distance in phase B, with bounds",
    question="How do the angle between neighbouring weights and its bounds move through phase B, "
    "with SGD and with full batches?",
    runs=runs,
    draw=draw,
    choices=(
        "weight decay of full-batch descent: that of this figure's caption (Figure 10's differs)",
        "t₀: the first step of the period (the loss's peak); t_valid: a tenth of the way from "
        "there to the end of phase B, or the loss's recovery where that is later; c and C enclose "
        "98 % of the steps from t_valid on, with full batches, which have no noise, all of them; "
        "drawn are those of the same period, judged those of the period before",
    ),
    claims=(
        Claim(
            "cosine-bounds-full-batch",
            "In phase B of full-batch descent the cosine distance lies between δmin and δmax, "
            "with ℓ = c/(t − t₀)² and L = C/(t − t₀).",
            "Section D, Figure 12, Eq. (17)",
            "fewer than 90 % of the steps of the drawn period inside (δmin, δmax by Eq. (8), to "
            "0.1 %), L/ℓ above 100 somewhere, or g̃ ∝ (t − t₀)^e with e outside of −2.5 … −0.5; t₀ "
            "and t_valid as in Figure 3, c and C enclose every step of the period before",
            bounds_hold(_FULL_BATCH, FULL_BATCH_RULE),
        ),
        Claim(
            "cosine-growth-full-batch",
            "With full batches the cosine distance grows in the second half of phase B.",
            "Sections 4.1 and D, Figure 12",
            "it is no larger in the last tenth of the phase than in its middle tenth (geometric "
            "means, median over periods)",
            grows_late(_FULL_BATCH),
        ),
        Claim(
            "cosine-growth-more-prominent",
            "That growth is more prominent with full batches than with SGD.",
            "Sections 4.1 and D, Figure 12",
            "the factor between these two tenths is smaller with full batches; undecided where the "
            "t-interval of the ratio over seeds holds 1",
            more_prominent,
            pooled=True,
        ),
    ),
)
