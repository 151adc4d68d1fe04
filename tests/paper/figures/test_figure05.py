"""Every claim of Figures 5 and 18 holds on similarities made for it, and fails on others."""

import numpy as np
import pytest

from limitcycle.paper.claim import judge
from limitcycle.paper.evidence import MissingError
from limitcycle.paper.figures.figure05 import FIGURE, draw_of, independent, runs_of
from limitcycle.paper.figures.figure18 import FIGURE as FIGURE_18
from limitcycle.paper.questions import similarity as claims
from limitcycle.paper.questions.minima import Similarity
from limitcycle.paper.scale import LAPTOP, QUICK, SCALES
from tests.paper.records import evidence, sawtooth

CLAIMS = {claim.name: claim for claim in (*FIGURE.claims, *FIGURE_18.claims)}
EVERY = 5  # snapshots a period


def alike(*, within=0.98, ratio=0.93, far=0.05, own=0.2, other=0.1, images=10_000):
    """Similarities of a run of 16 periods, the anchor in the third.

    Args:
        within: cosine in the anchor's period.
        ratio: of the cosines from period to period, from 0.85 on.
        far: cosine with the independent network.
        own, other: test error of ensembles with the anchor's and the independent network.
        images: in the test set.
    """
    period = np.repeat(np.arange(-3, 13), EVERY)
    size = len(period)
    cosine = np.where(period == 0, within, 0.85 * ratio ** (np.abs(period) - 1.0))
    anchor = 3 * EVERY + EVERY - 1
    cosine[anchor] = 1
    return Similarity(
        steps=60.0 * np.arange(1, size + 1),
        period=period,
        quiet=np.arange(size) % EVERY > 1,
        anchor=anchor,
        error=np.full(size, 0.3),
        cosine=cosine,
        ensemble=np.where(period == 0, 0.3, own),
        other_error=0.3,
        other_cosine=np.full(size, far),
        other_ensemble=np.full(size, other),
        images=images,
    )


@pytest.fixture(autouse=True)
def _by_hand(monkeypatch):
    """The similarity of a record is the one that hangs on it; an exception there is raised."""

    def similarity(history, _independent):
        if isinstance(history.source.similarity, Exception):
            raise history.source.similarity
        return history.source.similarity

    monkeypatch.setattr(claims, "similarity", similarity)
    monkeypatch.setattr("limitcycle.paper.figures.figure05.similarity", similarity)


def made(scale=LAPTOP, pairs=None, **similarities):
    """Evidence in which pairs have similarities made by hand; keys with underscores."""
    recorded = {}
    for pair in pairs or ("convnet-cifar10", "convnet-cifar100"):
        for each in (pair, pair.replace("convnet", "resnet18")):
            found = similarities.get(each.replace("-", "_"), alike())
            record = sawtooth()
            record.similarity = found
            recorded |= {each: record, independent(each): sawtooth()}
    return evidence(scale, **recorded)


def everywhere(**settings):
    """Evidence in which every pair has the same similarities."""
    names = ("convnet_cifar10", "convnet_cifar100", "resnet18_cifar10", "resnet18_cifar100")
    return made(**{name: alike(**settings) for name in names})


def by_colours(ten, hundred):
    """Evidence in which the pairs on CIFAR-10 and on CIFAR-100 differ."""
    nets = ("convnet", "resnet18")
    return made(
        **{f"{net}_cifar10": alike(**ten) for net in nets},
        **{f"{net}_cifar100": alike(**hundred) for net in nets},
    )


# As the paper has it: faster on CIFAR-10, whose ensembles come up to the independent ones.
PAPER = by_colours({"ratio": 0.9, "own": 0.1}, {"ratio": 0.96, "own": 0.2})
REFUTED = {
    "similarity-within": everywhere(within=0.8),
    "similarity-falls": everywhere(ratio=0.6),
    "similarity-independent": everywhere(far=0.6),
    "similarity-faster": by_colours({"ratio": 0.96}, {"ratio": 0.9}),
    "ensembles-gain": everywhere(own=0.4),
    "ensembles": by_colours({"own": 0.2}, {"own": 0.1}),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_holds_on_similarities_made_for_it(name):
    finding = judge(CLAIMS[name], PAPER)
    assert finding.outcome == "holds", finding


@pytest.mark.parametrize("name", CLAIMS)
def test_fails_on_similarities_made_to_refute_it(name):
    kind = next(kind for kind in REFUTED if name.startswith(kind))
    finding = judge(CLAIMS[name], REFUTED[kind])
    assert finding.outcome == "fails", finding


def test_on_digits_only_what_is_said_of_any_pair_is_asked():
    kinds = {claim.kind for claim in FIGURE.asked(QUICK)}
    assert kinds == {
        *(f"similarity-{k}" for k in ("within", "falls", "independent")),
        "ensembles-gain",
    }
    assert FIGURE_18.asked(QUICK) == ()


@pytest.mark.parametrize("name", CLAIMS)
def test_without_its_runs_it_is_undecided(name):
    assert judge(CLAIMS[name], evidence(LAPTOP)).outcome == "undecided"


@pytest.mark.parametrize("ratio", [1.0, 1.02])
def test_a_similarity_that_does_not_fall_refutes(ratio):
    finding = judge(CLAIMS["similarity-falls-convnet-cifar10"], everywhere(ratio=ratio))
    assert finding.outcome == "fails", finding


@pytest.mark.parametrize("reach", [True, False])
def test_ensembles_inside_the_noise_are_undecided(reach):
    pair = "convnet-cifar10" if reach else "convnet-cifar100"
    found = by_colours(*[{"own": 0.111, "images": 500}] * 2)
    assert judge(CLAIMS[f"ensembles-{pair}"], found).outcome == "undecided"


def test_ensembles_are_not_defined_on_digits():
    on_digits = made(QUICK)
    outcome = judge(CLAIMS["ensembles-convnet-cifar10"], on_digits).outcome
    assert outcome == "undecided"


def test_a_first_step_of_any_size_is_no_refutation():
    finding = judge(CLAIMS["similarity-falls-convnet-cifar10"], everywhere(ratio=0.93))
    assert finding.outcome == "holds", finding


def test_without_an_anchor_it_is_undecided():
    without = made(convnet_cifar10=MissingError("no snapshot lies in a whole period"))
    finding = judge(CLAIMS["similarity-within-convnet-cifar10"], without)
    assert finding.outcome == "undecided"
    assert "whole period" in finding.measured


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
def test_the_convnet_run_is_that_of_figure_2(scale):
    runs = runs_of(("convnet-cifar10",))(scale)
    assert runs["convnet-cifar10"] == scale.shared(scale.fast_lr)
    assert runs[independent("convnet-cifar10")].seed == 1


def test_a_row_a_pair_with_both_panels():
    rows = draw_of(("convnet-cifar10", "resnet18-cifar100"))(PAPER)
    assert [[panel.name for panel in row.panels] for row in rows] == [["cosine", "ensemble"]] * 2
    assert [bool(row.keys) for row in rows] == [True, False]  # one legend is enough
