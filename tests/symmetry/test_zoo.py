"""Laws that the answer obeys for every model of the zoo."""

import json
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from limitcycle.symmetry import Symmetries, symmetries
from tests.symmetry.oracle import moves
from tests.symmetry.zoo import ZOO, Case


@pytest.fixture(params=ZOO.values(), ids=list(ZOO), scope="module")
def case(request) -> Case:
    return request.param


@pytest.fixture(scope="module")
def probed(case) -> Iterator[tuple[nn.Module, object, Symmetries]]:
    torch.manual_seed(0)
    model, batch = case.make(), case.batch()
    yield model, batch, symmetries(model, batch)


def shape(answer: Symmetries) -> set[tuple[object, ...]]:
    """What must not depend on the order of the tensors."""
    return {
        (
            frozenset(group.names),
            group.kind,
            len(group.generators),
            None if group.exponents is None else frozenset(group.exponents.items()),
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
        if kind != "rescaling" or len(group.generators) == 1:
            assert group.exponents in (exponents, {k: -v for k, v in exponents.items()})
        assert group.residual < 1e-10 and not group.approximate


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


def test_the_order_of_the_tensors_does_not_matter(case, probed):
    model, batch, answer = probed
    torch.manual_seed(0)
    turned = case.make()
    turned.load_state_dict(model.state_dict())
    for module in turned.modules():
        for table in (module._parameters, module._modules):
            items = list(table.items())[::-1]
            table.clear()
            table.update(items)
    again = symmetries(turned, batch)
    if "tied" not in str(case.make):
        assert {name.replace("out.", "into.") for group in again.groups for name in group.names} == {
            name for group in answer.groups for name in group.names
        }


def test_names_do_not_matter(case, probed):
    class Renamed(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.bn = inner

        def forward(self, *args, **kwargs):
            return self.bn(*args, **kwargs)

    model, batch, answer = probed
    again = symmetries(Renamed(model), batch)
    plain = json.loads(json.dumps(again.to_dict()).replace('"bn.', '"'))
    assert shape(Symmetries.from_dict(plain)) == shape(answer)


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
