"""The reasons: which module absorbs a scaling, found by comparing calls, not by names or types."""

import pytest
import torch

from limitcycle.symmetry import symmetries
from tests.symmetry.zoo import convnet, mlp, nn, vectors
from tests.symmetry.zoo_more import EVERY

REASONS = {
    ("mlp bias", "3.weight"): "absorbed by `4` (BatchNorm1d)",
    ("mlp bias", "3.bias"): "its effect is removed by `4` (BatchNorm1d)",
    ("preresnet", "2.short.weight"): "absorbed by `3.n1` (BatchNorm2d) and `4` (BatchNorm2d)",
    ("plain rms", "apple"): "absorbed by plain tensor operations in the model's own forward",
    ("weight norm", "0.parametrizations.weight.original1"): (
        "absorbed by `0.parametrizations.weight.0` (_WeightNorm)"
    ),
    ("keyword batch, unused tensor", "unused"): "takes no part in the output",
    ("keyword batch, unused tensor", "embed.weight"): "absorbed by `norm` (LayerNorm)",
    ("tied", "middle"): "what middle gains, into.weight loses",
    ("GPT-2", "wte.weight"): "absorbed by `h.0.ln_1` (LayerNorm), `h.0.ln_2` (LayerNorm) and "
    "`ln_f` (LayerNorm)",
    ("BERT", "encoder.layer.0.attention.self.key.bias"): (
        "its effect is removed by plain tensor operations inside "
        "`encoder.layer.0.attention.self` (BertSelfAttention)"
    ),
}


@pytest.mark.parametrize("case, name", REASONS)
def test_the_reason_is_the_one_known_by_hand(case, name):
    torch.manual_seed(0)
    model, batch = EVERY[case].make(), EVERY[case].batch()
    answer = symmetries(model, batch)
    (group,) = [group for group in answer.groups if name in group.names]
    assert group.why == REASONS[case, name]
    assert group.why in str(answer)


def test_a_norm_under_a_meaningless_name_and_type_is_found():
    class Pear(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x / (x.square().mean(1, keepdim=True) + 1e-6).sqrt()

    model = nn.Sequential(nn.Linear(10, 10, bias=False), Pear(), nn.Tanh())
    (group,) = symmetries(model, vectors()).groups
    assert group.why == "absorbed by `1` (Pear)"


def test_hooks_are_gone_afterwards():
    model = mlp()
    symmetries(model, vectors())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_progress_is_told():
    told: list[str] = []
    model = convnet(lambda c: nn.BatchNorm2d(c))
    symmetries(model, torch.randn(8, 3, 8, 8), progress=told.append)
    assert any("backward passes" in text for text in told) and told[-1] == ""
