"""Claims about CIFAR are not judged on digits; what is said of all pairs is, once a twin."""

import pytest

from limitcycle.paper import experiments
from limitcycle.paper.claim import Claim, holds_if, judge, undecided
from limitcycle.paper.questions.everywhere import everywhere, twins
from limitcycle.paper.scale import LAPTOP, PAPER, QUICK
from tests.paper.records import evidence

CLAIMS = [claim for figure in experiments() for claim in figure.claims]
PAIRS = ("convnet-cifar10", "convnet-cifar100", "resnet18-cifar10", "resnet18-cifar100")


def claim_of(**outcomes):
    """A claim about all pairs; each pair's own comes out as ``outcomes`` says, or else holds."""
    checks = {
        "holds": lambda _: holds_if(True, "so"),
        "fails": lambda _: holds_if(False, "so", cause="a reason"),
        "undecided": lambda _: undecided("nothing to see"),
        "missing": lambda found: found["a run that nobody made"],
    }

    def one(pair):
        check = checks[outcomes.get(pair.replace("-", "_"), "holds")]
        return Claim(f"it-{pair}", "It is so.", "nowhere", "it is not", check, colour_images=True)

    return everywhere("it", "It is so.", "nowhere", one, PAIRS)


def test_claims_that_name_cifar_are_not_defined_on_digits():
    for claim in CLAIMS:
        named = "CIFAR" in claim.statement
        assert claim.colour_images == named, claim.name
        if named:
            finding = judge(claim, evidence(QUICK))
            assert finding.outcome == "undecided"
            assert finding.measured == "not defined at quick scale: digits are not CIFAR"


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ({}, "holds"),
        ({"resnet18_cifar10": "undecided"}, "undecided"),
        ({"resnet18_cifar10": "missing"}, "undecided"),
        ({"resnet18_cifar10": "fails", "convnet_cifar10": "undecided"}, "fails"),
    ],
)
def test_one_pair_that_fails_refutes_it(outcomes, expected):
    found = judge(claim_of(**outcomes), evidence(LAPTOP))
    assert found.outcome == expected, found
    assert found.likely == ("a reason" if expected == "fails" else "")


def test_on_digits_pairs_with_the_same_twin_count_once():
    assert twins(QUICK, PAIRS) == ["convnet-cifar10", "resnet18-cifar10"]
    assert twins(QUICK, PAIRS[1:], but=PAIRS[:1]) == ["resnet18-cifar10"]
    assert judge(claim_of(convnet_cifar100="fails"), evidence(QUICK)).outcome == "holds"


@pytest.mark.parametrize("scale", [LAPTOP, PAPER])
def test_elsewhere_every_pair_counts(scale):
    assert twins(scale, PAIRS) == list(PAIRS)
    assert judge(claim_of(convnet_cifar100="fails"), evidence(scale)).outcome == "fails"
