"""Figure 13: the same product ηλ from different learning rates, and Proposition 4."""

from limitcycle.paper.claim import Claim
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.experiment import PANELS, Experiment, Runs
from limitcycle.paper.questions import products, rescaling
from limitcycle.paper.questions.reading import period_units
from limitcycle.paper.scale import Scale
from limitcycle.report.figure import Figure
from limitcycle.report.limits import aligned
from limitcycle.report.panels import panels_of


def runs(scale: Scale) -> Runs:
    """Two products at three ratios, and the runs of Proposition 4."""
    return {**products.runs(scale), **rescaling.runs(scale)}


def draw(evidence: Evidence) -> list[Figure]:
    """A row a product, the same axes in each column."""
    return aligned(
        [
            panels_of(
                [evidence.first(name) for name in names], PANELS, "epochs", f"ηλ = {product:g}"
            )
            for product, names in products.labels(evidence.scale).items()
        ]
    )


FIGURE = Experiment(
    number=13,
    title="The same product of learning rate and weight decay",
    question="Does training hang on the product ηλ alone, but for its warm-up?",
    runs=runs,
    draw=draw,
    choices=(
        "products: those of Figure 2's two main rates at its weight decay, whose runs are shared",
        "ratios: learning rates 10 times as large and as small, a factor 100 between the extremes, "
        "so that the default initialisation is close to the consistent norms and far from them",
        f"length: at least {products.LEAST_UNITS} units of 1/(ηλ) at the ratios not shared, for "
        "the warm-up from the furthest norm and a few periods; Figure 2's run may be shorter",
        f"Proposition 4: c = {rescaling.C}, a power of two, so that floats can agree bit by bit; "
        "its runs are not drawn",
    ),
    claims=(
        Claim(
            "product-period",
            "At a fixed product ηλ the periods are equally long at all ratios.",
            "Appendix E.1, Figure 13",
            "at one product, median periods (of seeds, then of ratios) more than a factor 1.5 "
            "apart, or a ratio without periods",
            products.alike({"period × ηλ": period_units}, 1.5, given_periods=False),
        ),
        Claim(
            "product-loss",
            "At a fixed product the same minimal training loss is reached at all ratios.",
            "Appendix E.1, Figure 13",
            "at one product, median minima of the loss (epoch means, over the periods of the "
            "consistent stage, then seeds) more than a factor 2 apart; undecided without periods",
            products.alike({"loss": products.loss_minimum}, 2),
        ),
        Claim(
            "product-test-error",
            "At a fixed product the same minimal test error is reached at all ratios.",
            "Appendix E.1, Figure 13",
            "at one product, smallest test errors (medians over seeds) further apart than twice "
            "the binomial standard error of the largest",
            products.same_test_error,
        ),
        Claim(
            "product-warm-up",
            "Only the warm-up differs: it is longer the further the initial norm is from the norms "
            "of the consistent stage.",
            "Appendix E.1, Figure 13",
            "at one product, a shorter warm-up (median over seeds) at a ratio whose initial norm "
            "is further, as |log|, from the consistent stage's geometric mean",
            products.warm_up_by_distance,
        ),
        *rescaling.CLAIMS,
    ),
)
