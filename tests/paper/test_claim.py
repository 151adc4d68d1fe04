"""Seeds decide; on digits nothing is asked about CIFAR, and pairs that are the same there once."""

import pytest

from limitcycle.errors import UserError
from limitcycle.paper import experiments
from limitcycle.paper.claim import Claim, above, below, holds_if, judge, undecided
from limitcycle.paper.experiment import Experiment
from limitcycle.paper.pages import verdict
from limitcycle.paper.questions.reading import periodic
from limitcycle.paper.scale import LAPTOP, PAPER, QUICK
from limitcycle.paper.spread import Interval
from tests.paper.records import calm, evidence, sawtooth

PAIRS = ("convnet-cifar10", "convnet-cifar100", "resnet18-cifar10", "resnet18-cifar100")
CLAIMS = [claim for figure in experiments() for claim in figure.claims]


def has_periods(found):
    (history,) = found["run"]
    return holds_if(periodic(history), "seen", ours={"periods": float(periodic(history))})


def claim(check=has_periods, **settings):
    return Claim("it", "It is so.", "nowhere", "it is not", check, **settings)


@pytest.mark.parametrize(
    ("records", "outcome", "said"),
    [
        ([sawtooth(), sawtooth(seed=1)], "holds", "✓ holds (2 of 2 seeds)"),
        ([calm(), calm()], "fails", "✗ fails (2 of 2 seeds)"),
        ([sawtooth(), calm(), calm()], "undecided", "– undecided (holds in 1, fails in 2)"),
    ],
)
def test_all_seeds_have_to_agree(records, outcome, said):
    finding = judge(claim(), evidence(run=records))
    assert finding.outcome == outcome
    assert verdict({"outcome": finding.outcome, "seeds": finding.seeds}) == said


def test_a_seed_that_cannot_tell_leaves_it_undecided_and_is_counted():
    def check(found):
        if not periodic(found["run"][0]):
            raise UserError("nothing to see")
        return holds_if(True, "so")

    finding = judge(claim(check), evidence(run=[sawtooth(), calm()]))
    assert finding.outcome == "undecided"
    assert finding.seeds == {"holds": 1, "fails": 0, "undecided": 1}
    assert "seed 1 undecided: nothing to see" in finding.measured


def test_median_and_range_of_what_is_compared_come_first():
    finding = judge(claim(), evidence(run=[sawtooth(), calm(), calm()]))
    assert finding.measured == "periods: 0 [0, 1]; seen"


def test_a_pooled_claim_is_asked_once():
    asked = []

    def check(found):
        asked.append(len(found["run"]))
        return undecided("who knows")

    judge(claim(check, pooled=True), evidence(run=[calm(), calm(), calm()]))
    assert asked == [3]


@pytest.mark.parametrize(
    ("interval", "outcome"),
    [
        (Interval(-1, -2, -0.5), "holds"),
        (Interval(1, 0.5, 2), "fails"),
        (Interval(0.1, -1, 1), "undecided"),
        (Interval(0, 0, 0), "fails"),
        (Interval(*[float("nan")] * 3), "undecided"),
    ],
)
def test_an_interval_that_holds_the_limit_decides_nothing(interval, outcome):
    assert below(interval, 0.0, "words").outcome == outcome
    turned = Interval(-interval.middle, -interval.high, -interval.low)
    assert above(turned, 0.0, "words").outcome == outcome


def test_a_seed_that_a_label_lacks_cannot_tell():
    found = evidence(run=[sawtooth(), sawtooth()], later=[sawtooth()])
    found.seeds["later"] = (1,)

    def check(found):
        return holds_if(periodic(found["later"][0]), "seen")

    assert judge(claim(check), found).seeds == {"holds": 1, "fails": 0, "undecided": 1}


def test_claims_that_name_cifar_are_not_asked_on_digits():
    for each in CLAIMS:
        assert each.colour_images == ("CIFAR" in each.statement), each.name
    for figure in experiments():
        assert not any(each.colour_images for each in figure.asked(QUICK))
        assert figure.asked(LAPTOP) == figure.asked(PAPER) == figure.claims


def of_pairs(*, elsewhere=()):
    claims = tuple(
        Claim(f"it-{pair}", "it is so.", "nowhere", "not", has_periods, pair=pair) for pair in PAIRS
    )
    return Experiment(1, "T", "Q?", lambda _: [], claims=claims, elsewhere=elsewhere)


def test_on_digits_pairs_with_the_same_twin_are_asked_once():
    asked = of_pairs().asked(QUICK)
    assert [each.pair for each in asked] == ["convnet-cifar10", "resnet18-cifar10"]
    assert asked[0].said(QUICK) == "digits twin of ConvNet on CIFAR-10: it is so."
    others = of_pairs(elsewhere=("convnet-cifar10",)).asked(QUICK)
    assert [each.pair for each in others] == ["resnet18-cifar10"]


def test_every_pair_is_asked_about_at_every_scale():
    """What another figure asks in one's place is asked there."""
    for kind in {each.kind for each in CLAIMS if each.pair}:
        twins = [
            QUICK.worlds[each.pair]
            for figure in experiments()
            for each in figure.asked(QUICK)
            if each.pair and each.kind == kind
        ]
        wanted = [QUICK.worlds[each.pair] for each in CLAIMS if each.pair and each.kind == kind]
        # Figure 2 asks of its ConvNet without a pair's name.
        wanted = [w for w in wanted if w != QUICK.worlds["convnet-cifar10"] or "-lr" not in kind]
        assert all(world in twins for world in wanted), kind


def test_classes_are_named():
    assert LAPTOP.title("convnet-cifar100") == "ConvNet on 10 classes of CIFAR-100"
    assert PAPER.title("convnet-cifar100") == "ConvNet on CIFAR-100"
