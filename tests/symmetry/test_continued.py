"""From a twin with few blocks to a model with many."""

import pytest
import torch
from torch import Tensor, nn

import limitcycle as lc


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-8), nn.LayerNorm(3 * width, eps=1e-8)
        self.up = nn.Linear(width, 3 * width, bias=False)
        self.down = nn.Linear(3 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(torch.relu(self.norm2(self.up(self.norm1(x)))))


class Deep(nn.Module):
    def __init__(self, blocks: int, width: int = 6) -> None:
        super().__init__()
        self.inp = nn.Linear(4, width)
        self.layers = nn.ModuleList(Block(width) for _ in range(blocks))
        self.out = nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inp(x)
        for layer in self.layers:
            x = layer(x)
        return self.out(x)


def found_of(blocks: int, width: int = 6) -> lc.Symmetries:
    torch.manual_seed(blocks)
    return lc.symmetries(Deep(blocks, width), torch.randn(8, 4))


def plain(found: lc.Symmetries) -> list[tuple[object, ...]]:
    return [(g.names, g.kind, g.exponents) for g in found.groups]


def test_a_narrow_twin_of_three_blocks_says_what_the_search_of_six_says():
    far = lc.continued(found_of(3, width=4), Deep(6))
    exact = found_of(6)
    assert plain(far) == plain(exact)
    assert far.not_invariant == exact.not_invariant
    assert "layers.4.up.weight" in far.scale_invariant


def test_it_is_bound_to_a_model_without_values():
    with torch.device("meta"):
        large = Deep(40, width=512)
    far = lc.continued(found_of(4), large)
    assert far.parameters["layers.39.up.weight"].shape == (1536, 512)
    assert sum("up.weight" in name for name in far.scale_invariant) == 40


def test_a_model_without_values_is_refused_with_the_ways():
    with torch.device("meta"):
        large = Deep(2)
    with pytest.raises(lc.UserError, match=r"meta.*twin.*lc\.continued"):
        lc.symmetries(large, torch.randn(8, 4))


def test_two_blocks_are_too_few():
    with pytest.raises(lc.UserError, match="build it with 3 or more"):
        lc.continued(found_of(2), Deep(6))


def test_another_model_is_refused():
    large = Deep(6)
    large.layers[3].extra = nn.Parameter(torch.ones(2))
    with pytest.raises(lc.UserError, match=r"nothing like 'layers\.3\.extra'"):
        lc.continued(found_of(3), large)
