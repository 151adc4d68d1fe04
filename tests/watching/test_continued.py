"""What was continued from a twin is confirmed by the first rows, or named."""

from dataclasses import replace

import torch
from torch import nn

import limitcycle as lc
from tests.symmetry.test_continued import Deep, found_of


def watched(found: lc.Symmetries, model: nn.Module) -> lc.Watch:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with lc.watch(model, optimizer, found, quiet=True) as w:
        for step in range(6):
            torch.manual_seed(step)
            optimizer.zero_grad()
            model(torch.randn(16, 4)).square().mean().backward()
            optimizer.step()
    return w


def test_a_continued_symmetry_that_holds_is_not_spoken_of(capsys):
    torch.manual_seed(0)
    model = Deep(5)
    w = watched(lc.continued(found_of(3), model), model)
    assert len(w.steps) == 6
    assert "continued" not in capsys.readouterr().err


def test_one_that_does_not_hold_is_named(capsys):
    torch.manual_seed(0)
    model = Deep(5)
    found = lc.continued(found_of(3), model)
    for layer in model.layers:  # in this model nothing comes behind `up` that takes its scale
        layer.norm2 = nn.Identity()
    found = replace(found, not_invariant=tuple(n for n in found.not_invariant if "norm2" not in n))
    groups = [g for g in found.groups if not any("norm2" in name for name in g.names)]
    names = {name for g in groups for name in g.names}
    others = tuple(n for n, _ in model.named_parameters() if n not in names)
    w = watched(replace(found, groups=tuple(groups), not_invariant=others), model)
    assert "layers.0.up.weight" in capsys.readouterr().err
    assert any("radial_share above 1 %" in note for note in w.run_data().notes)
