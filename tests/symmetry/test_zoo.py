"""Laws that the answer obeys for every model of the zoo."""

import json
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from limitcycle.symmetry import Symmetries, symmetries
from tests.symmetry.oracle import moves
from tests.symmetry.zoo import Case
from tests.symmetry.zoo_more import EVERY


@pytest.fixture(params=EVERY.values(), ids=list(EVERY), scope="module")
def case(request) -> Case:
    return request.param


@pytest.fixture(scope="module")
def probed(case) -> Iterator[tuple[nn.Module, object, Symmetries]]:
    torch.manual_seed(0)
    model, batch = case.make(), case.batch()
    yield model, batch, symmetries(model, batch)


def shape(answer: Symmetries, names: dict[str, str]) -> set[tuple[object, ...]]:
    """What must not depend on order and names, in terms of ``names``."""
    return {
        (
            frozenset(names[name] for name in group.names),
            group.kind,
            len(group.generators),
            group.exponents and frozenset((names[n], k) for n, k in group.exponents.items()),
        )
        for group in answer.groups
    }


def test_groups_are_those_known_by_hand(case, probed):
    _, _, answer = probed
    found = {frozenset(group.names): group for group in answer.groups}
    assert set(found) == {frozenset(exponents) for _, exponents in case.groups}
    for kind, exponents in case.groups:
        group = found[frozenset(exponents)]
        assert group.kind == kind
        assert answer.is_symmetry(exponents)
        if kind in ("scale-invariant", "dead") or len(group.generators) == 1:
            assert group.exponents in (exponents, {k: -v for k, v in exponents.items()})
        assert group.residual < 1e-10 and not group.approximate
        assert group.why


def test_scaling_by_a_generator_changes_nothing(probed):
    model, batch, answer = probed
    for group in answer.groups:
        for exponents in group.generators:
            assert not moves(model, batch, exponents), exponents


def test_a_single_tensor_moves_the_output_unless_it_is_said_not_to(probed):
    model, batch, answer = probed
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert moves(model, batch, {name: 1}) == (not answer.is_symmetry({name: 1})), name


def test_a_random_vector_moves_the_output_unless_it_is_said_not_to(probed):
    model, batch, answer = probed
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    for seed in range(5):
        draw = torch.randint(-1, 2, (len(names),), generator=torch.Generator().manual_seed(seed))
        exponents = dict(zip(names, draw.tolist(), strict=True))
        assert moves(model, batch, exponents) == (not answer.is_symmetry(exponents))


class Shuffled(nn.Module):
    """The same function, its tensors registered in another order and under other names."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        modules = list(inner.modules())[::-1]
        for i in torch.randperm(len(modules), generator=torch.Generator().manual_seed(0)).tolist():
            self.add_module(f"bn{i}", modules[i])
        self.last = inner

    def forward(self, *args, **kwargs):
        return self.last(*args, **kwargs)


def test_neither_order_nor_names_matter(probed):
    model, batch, answer = probed
    shuffled = Shuffled(model)
    again = symmetries(shuffled, batch)
    names = {parameter: name for name, parameter in model.named_parameters()}
    back = {name: names[parameter] for name, parameter in shuffled.named_parameters()}
    assert shape(again, back) == shape(answer, {name: name for name in names.values()})


def test_every_tensor_is_accounted_for_once(probed):
    model, _, answer = probed
    grouped = [name for group in answer.groups for name in group.names]
    everything = grouped + list(answer.not_invariant) + list(answer.frozen)
    assert sorted(everything) == sorted(dict(model.named_parameters()))


def test_the_answer_survives_json_and_prints_every_name(probed):
    model, _, answer = probed
    assert Symmetries.from_dict(json.loads(json.dumps(answer.to_dict()))) == answer
    text = str(answer)
    assert all(name in text for name in dict(model.named_parameters()))
