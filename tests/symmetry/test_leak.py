"""The leak at shrunk weights, against the same question put to a model that was shrunk."""

import copy

import numpy as np
import pytest
import torch

from limitcycle.errors import UserError
from limitcycle.symmetry import leak_growth, symmetries
from tests.symmetry.test_promises import equal, snapshot
from tests.symmetry.zoo import convnet, images, mlp, nn, vectors


def shrunk(model: nn.Module, names: tuple[str, ...], factor: float) -> nn.Module:
    other = copy.deepcopy(model)
    with torch.no_grad():
        for name in names:
            other.get_parameter(name).mul_(factor)
    return other


def test_it_is_the_leak_of_the_shrunk_model():
    torch.manual_seed(0)
    model, batch = mlp(), vectors()
    answer = symmetries(model, batch)
    growth = leak_growth(model, batch, answer, shrinkage=(1.0, 0.2))
    again = symmetries(shrunk(model, answer.scale_invariant, 0.2), batch)
    assert growth.leaks[:, 0] == pytest.approx([g.leak for g in answer.groups], rel=1e-4)
    assert growth.leaks[:, 1] == pytest.approx([g.leak for g in again.groups], rel=1e-4)


def test_it_grows_like_the_inverse_square_of_the_norm():
    torch.manual_seed(0)
    model, batch = mlp().double(), vectors().double()
    growth = leak_growth(model, batch, symmetries(model, batch), shrinkage=(1.0, 0.7, 0.5))
    # Further down some channels of small variance are no longer normalised.
    assert growth.leaks[:, 1] / growth.leaks[:, 0] == pytest.approx(1 / 0.49, rel=0.1)
    assert growth.leaks[:, 2] / growth.leaks[:, 0] == pytest.approx(4, rel=0.1)


def test_where_it_reaches_one_per_cent_is_said():
    torch.manual_seed(0)
    model, batch = convnet(lambda c: nn.BatchNorm2d(c, affine=False)).double(), images().double()
    answer = symmetries(model, batch)
    growth = leak_growth(model, batch, answer)
    at = float(growth.visible_at[0])
    there = leak_growth(model, batch, answer, shrinkage=(1.0, at))
    assert there.leaks[0, 1] == pytest.approx(0.01, rel=0.5)
    assert f"{at:.2g}" in str(growth)
    assert np.isnan(leak_growth(model, batch, answer, shrinkage=(1.0, 0.9)).visible_at).all()


def test_the_model_comes_back_untouched_and_must_be_the_right_one():
    model, batch = mlp(), vectors()
    answer = symmetries(model, batch)
    torch.manual_seed(0)
    before = snapshot(model)["state"]
    leak_growth(model, batch, answer)
    assert equal(before, snapshot(model)["state"])
    with pytest.raises(UserError, match="not this model's"):
        leak_growth(mlp(bias=True), batch, answer)
