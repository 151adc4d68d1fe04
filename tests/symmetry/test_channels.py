"""Slices along the first dimension, against scaling one of them."""

import copy

import pytest
import torch
from torch import nn

from limitcycle.symmetry import Symmetries, symmetries
from tests.symmetry.oracle import moves
from tests.symmetry.zoo_more import EVERY

CASES = (
    "mlp",
    "mlp layer norm",
    "convnet affine, head",
    "convnet group norm",
    "depthwise",
    "preresnet",
    "standardised weight",
    "norm and raw",
)


def moved_by_slice(model: nn.Module, batch: torch.Tensor, name: str, index: int) -> bool:
    """Whether twice the slice ``name[index]`` moves the output, by the definition."""
    here, scaled = copy.deepcopy(model).double(), copy.deepcopy(model).double()
    with torch.no_grad():
        scaled.get_parameter(name)[index] *= 2
        before, after = here(batch.double()), scaled(batch.double())
    return float((after - before).norm() / before.norm()) > 2e-3


@pytest.mark.parametrize("case", CASES)
def test_scaling_one_slice_moves_the_output_unless_it_is_said_not_to(case):
    torch.manual_seed(0)
    model, batch = EVERY[case].make(), EVERY[case].batch()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    answer = symmetries(model, batch, per="channel")
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and parameter.ndim > 1:
            for index in range(len(parameter)):
                said = not answer.is_symmetry({f"{name}[{index}]": 1})
                assert moved_by_slice(model, batch, name, index) == said, (name, index)


def test_channels_of_a_group_norm_scale_together():
    torch.manual_seed(0)
    answer = symmetries(*made("convnet group norm"), per="channel")
    assert [group.names for group in answer.groups[:4]] == [
        (f"0.weight[{i}]", f"0.weight[{i + 1}]") for i in (0, 2, 4, 6)
    ]


def test_a_residual_stream_has_one_group_a_channel():
    torch.manual_seed(0)
    answer = symmetries(*made("preresnet"), per="channel")
    names = {frozenset(group.names) for group in answer.groups}
    assert all(frozenset({f"0.weight[{i}]", f"1.c2.weight[{i}]"}) in names for i in range(4))


def test_it_is_told_compactly_and_survives_json():
    torch.manual_seed(0)
    answer = symmetries(*made("convnet"), per="channel")
    text = str(answer)
    assert "0.weight[0:8], each by itself" in text and "3.weight[0:16], each by itself" in text
    assert len(text.splitlines()) == 3 + len(answer.frozen)
    assert Symmetries.from_dict(answer.to_dict()) == answer


def test_where_slices_are_too_many_only_those_that_promise_something_are_taken():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(10, 40, bias=False), nn.BatchNorm1d(40), nn.Sigmoid(), nn.Linear(40, 400)
    )
    answer = symmetries(model, torch.randn(8, 10), per="channel")
    assert answer.scale_invariant == tuple(f"0.weight[{i}]" for i in range(40))
    assert "3.weight" in answer.not_invariant
    assert not moves(model, torch.randn(8, 10), {"0.weight": 1})


def made(case: str) -> tuple[nn.Module, object]:
    return EVERY[case].make(), EVERY[case].batch()
