"""Figure 13: the same product ηλ from different learning rates, and Proposition 4."""

from limitcycle.paper.claim import Claim
from limitcycle.paper.evidence import Evidence
from limitcycle.paper.experiment import PANELS, Experiment, Runs
from limitcycle.paper.questions import products, rescaling
from limitcycle.paper.questions.pictures import panels
from limitcycle.paper.questions.reading import period_units
from limitcycle.paper.scale import Scale
from limitcycle.report.figure import Figure
from limitcycle.report.limits import aligned


def runs(scale: Scale) -> Runs:
    """Two products at three ratios, and the runs of Proposition 4."""
    return {**products.runs(scale), **rescaling.runs(scale)}


def draw(evidence: Evidence) -> list[Figure]:
    """A row a product, the same axes in each column."""
    return aligned(
        [
            panels(evidence, {name: name for name in names}, PANELS, "epochs", f"ηλ = {product:g}")
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
            "at one product, median periods of two ratios more than a factor 1.5 apart, or a ratio "
            "without periods",
            products.alike({"period × ηλ": period_units}, 1.5, given_periods=False),
        ),
        Claim(
            "product-loss",
            "At a fixed product the same minimal training loss is reached at all ratios.",
            "Appendix E.1, Figure 13",
            "at one product, median minima of the loss (epoch means, over the periods of the "
            "consistent stage) more than a factor 2 apart; undecided without periods",
            products.alike({"loss": products.loss_minimum}, 2),
            published="minima 4e-3 … 4e-4 at 0.03, 2.7e-3 … 1.5e-4 at 0.01 (Figure 2)",
        ),
        Claim(
            "product-test-error",
            "At a fixed product the same minimal test error is reached at all ratios.",
            "Appendix E.1, Figure 13",
            "at one product, smallest test errors (by equally many evaluations) apart beyond the "
            "noise: Student's interval over seeds and two binomial standard errors of the "
            "difference; undecided where that noise reaches beyond 3 %",
            products.same_test_error,
            pooled=True,
        ),
        Claim(
            "product-warm-up",
            "Only the warm-up differs: it is longer the further the initial norm is from the norms "
            "of the consistent stage.",
            "Appendix E.1, Figure 13",
            "at one product, a shorter warm-up at a ratio whose norm behind the first steps (the "
            "largest of the first twentieth of 1/(ηλ) steps, which throw up a norm that is too "
            "small) is further, as |log|, from the consistent stage's geometric mean",
            products.warm_up_by_distance,
        ),
        Claim(
            "linear-convergence",
            "From far above the norm comes down at a linear rate, in a time ∝ 1/(ηλ).",
            "Proposition 3",
            "at the ratio whose initial norm is largest, log ρ² falls by less than 1.8 or more "
            "than 2.2 in 1/(ηλ) steps, until ρ² has halved; undecided if a destabilisation comes "
            "before",
            products.free_fall,
        ),
        *rescaling.CLAIMS,
    ),
)
