"""The nets have the protocol's sizes and norms, and `symmetry` finds in them what it should."""

import pytest
import torch

from limitcycle.errors import UserError
from limitcycle.lab.nets import build_net
from limitcycle.lab.setup import measured_names, prepare
from limitcycle.record import Run
from limitcycle.symmetry import symmetries


def sizes(run: Run, classes: int = 10):
    """Norm and count of all convolution and linear weights but the head, and the head's count."""
    net = build_net(run, (3, 32, 32), classes)
    body = [p for name, p in net.named_parameters() if not name.startswith("head") and p.dim() > 1]
    head = sum(p.numel() for name, p in net.named_parameters() if name.startswith("head"))
    norm = torch.sqrt(sum((p**2).sum() for p in body)).item()
    return norm, sum(p.numel() for p in body), head


def test_convnet_has_the_published_size():
    norm, body, head = sizes(Run(net="convnet", width=32))
    assert (body, head) == (387_936, 2_570)
    assert norm == pytest.approx(12.65, rel=0.01)


def test_wider_nets_have_the_published_norms():
    assert sizes(Run(net="convnet", width=64))[0] == pytest.approx(17.89, rel=0.01)
    assert sizes(Run(net="resnet18", width=64))[0] == pytest.approx(40.0, rel=0.01)


def test_head_is_frozen_at_the_norm_asked_for():
    net = build_net(Run(net="convnet", width=4, head_norm=7.0), (3, 32, 32), 10)
    assert not net.head.weight.requires_grad
    assert not net.head.bias.requires_grad
    assert net.head.weight.norm().item() == pytest.approx(7.0)
    free = build_net(Run(net="convnet", width=4, train_head=True), (3, 32, 32), 10)
    assert free.head.weight.requires_grad


def test_seed_decides_the_initialisation_and_nothing_else_changes():
    state = torch.get_rng_state()
    first = build_net(Run(seed=1), (1, 8, 8), 10)
    assert torch.equal(torch.get_rng_state(), state)
    again, other = (build_net(Run(seed=s), (1, 8, 8), 10) for s in (1, 2))
    assert torch.equal(first.body[1].weight, again.body[1].weight)
    assert not torch.equal(first.body[1].weight, other.body[1].weight)


@pytest.mark.parametrize("net", ["mlp", "convnet", "resnet18"])
@pytest.mark.parametrize("norm", ["batch", "group", "layer"])
def test_every_matrix_of_the_body_is_scale_invariant(net, norm):
    run = Run(net=net, norm=norm, width=8)
    module = build_net(run, (3, 16, 16), 10)
    batch = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    body = {n for n, p in module.named_parameters() if p.requires_grad and p.dim() > 1}
    assert set(symmetries(module, batch).scale_invariant) >= body


def test_resnet_is_invariant_jointly_along_its_stream():
    module = build_net(Run(net="resnet18", width=8), (3, 16, 16), 10)
    batch = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    found = symmetries(module, batch)
    stream = {"stem.weight", "blocks.0.conv2.weight", "blocks.1.conv2.weight"}
    assert stream in [set(group.names) for group in found.groups]
    assert not found.is_symmetry({"stem.weight": 1})
    assert found.is_symmetry(dict.fromkeys(stream, 1))


@pytest.mark.parametrize("net", ["mlp", "convnet", "resnet18"])
def test_a_net_without_normalisation_is_measured_whole(net):
    run = Run(net=net, norm="none", width=4)
    module = build_net(run, (3, 16, 16), 10)
    batch = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    found = symmetries(module, batch)
    assert found.scale_invariant == ()
    matrices = {n for n, p in module.named_parameters() if p.requires_grad and p.dim() > 1}
    assert set(measured_names(module, found)) == matrices


def test_affine_parameters_and_head_are_not_part_of_the_norm():
    setup = prepare(Run(norm="batch-affine", train_head=True, width=16), torch.device("cpu"))
    assert setup.measured == ("body.1.weight", "body.4.weight", "body.7.weight")
    assert setup.net.leading < setup.net.parts["weights"].size


def test_too_small_images_are_refused():
    with pytest.raises(UserError, match="needs images of 16 pixels"):
        build_net(Run(net="convnet", depth=4), (1, 8, 8), 10)


def test_batch_of_one_is_refused_by_name():
    with pytest.raises(UserError, match="one image, which batch normalisation cannot take"):
        prepare(Run(train_size=129), torch.device("cpu"))
    prepare(Run(train_size=129, norm="layer", steps=1), torch.device("cpu"))
