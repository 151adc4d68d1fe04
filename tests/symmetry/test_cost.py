"""What large models cost. Bounds are in CPU time, which other processes do not change."""

import resource
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from limitcycle.symmetry import symmetries
from tests.symmetry.zoo import preresnet

RESNET18 = (64, 64, 64, 128, 128, 256, 256, 512, 512)


def resnet18(*, affine: bool) -> tuple[nn.Module, Any]:
    model = preresnet(affine=affine, train_head=False, widths=RESNET18)
    assert sum(p.numel() for p in model.parameters()) > 11e6
    return model, torch.randn(128, 3, 32, 32)


def bert_base() -> tuple[nn.Module, Any]:
    from transformers import BertConfig, BertModel

    return BertModel(BertConfig()).train(), {"input_ids": torch.randint(1, 30_000, (4, 32))}


def gpt2_small() -> tuple[nn.Module, Any]:
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(GPT2Config()).train()
    return model, {"input_ids": torch.randint(50_000, (4, 32))}


LARGE: dict[str, Callable[[], tuple[nn.Module, Any]]] = {
    "ResNet-18": lambda: resnet18(affine=False),
    "ResNet-18, affine": lambda: resnet18(affine=True),
    "BERT-base": bert_base,
    "GPT-2 small": gpt2_small,
}
# Groups by hand: ResNet-18 see `preresnet`; BERT: embeddings, 12 dead key biases, 12 attention and
# 12 MLP rescalings; GPT-2: the stream with the tied embedding, and two rescalings a block.
GROUPS = {
    "ResNet-18": 12,
    "ResNet-18, affine": 23,
    "BERT-base": 1 + 3 * 12,
    "GPT-2 small": 1 + 2 * 12,
}
CPU_SECONDS = {
    "ResNet-18": 25,
    "ResNet-18, affine": 25,
    "BERT-base": 360,  # three minutes of two cores
    "GPT-2 small": 360,
}
GIGABYTES = 8


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_large_models_take_minutes_at_most(name):
    torch.manual_seed(0)
    model, batch = LARGE[name]()
    start = time.process_time()
    answer = symmetries(model, batch)
    assert time.process_time() - start < CPU_SECONDS[name]
    assert len(answer.groups) == GROUPS[name]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < GIGABYTES * 1e6
