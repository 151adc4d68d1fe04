"""What the widest nets of the lab cost."""

import time

import pytest
import torch

from limitcycle.symmetry import symmetries
from tests.symmetry.zoo import preresnet

RESNET18 = (64, 64, 64, 128, 128, 256, 256, 512, 512)


@pytest.mark.slow
@pytest.mark.parametrize("affine, groups", [(False, 12), (True, 23)])
def test_resnet18_of_width_64_takes_seconds(affine, groups):
    """6.5 s and 10 s of one core's time here; the bound leaves room for a slower one."""
    torch.manual_seed(0)
    model = preresnet(affine=affine, train_head=False, widths=RESNET18)
    assert sum(p.numel() for p in model.parameters()) > 11e6
    batch = torch.randn(128, 3, 32, 32)
    start = time.process_time()
    answer = symmetries(model, batch)
    assert time.process_time() - start < 25
    assert len(answer.groups) == groups
