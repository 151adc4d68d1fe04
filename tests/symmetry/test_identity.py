"""A fingerprint is the same for the same net and code, and another after any edit of either."""

import functools
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn
from torch.nn import functional

from limitcycle.lab.data import load_dataset
from limitcycle.lab.nets import build_net, layers, mlp
from limitcycle.lab.setup import find_symmetries
from limitcycle.record import Run
from limitcycle.symmetry import fingerprint, search

SMALL = Run(width=8, train_size=64, test_size=16, head_norm=None)
SCALE = 2.0
SETTINGS = {"shift": 0.0}
aside = ModuleType("aside")  # somebody's other file, imported as a whole
aside.kept = lambda x: aside.inner(x)
aside.inner = lambda x: x


def helped(x):
    return SCALE * aside.kept(x) + SETTINGS["shift"]


class Net(nn.Module):
    normalised = True

    def __init__(self, features=4, power=1.0):
        super().__init__()
        self.linear = nn.Linear(3, features)
        self.norm = nn.BatchNorm1d(features)
        self.power = power

    def forward(self, x):
        return helped(self.norm(self.linear(x))) ** self.power


class InC(nn.Module):
    forward = torch.relu


def net(**settings):
    return Net(**settings)


def frozen(model):
    model.linear.weight.requires_grad_(False)


def hung(model):
    model.norm = nn.Identity()


def patched(model):
    model.norm.forward = lambda x: x


def wrapped(model):
    model.norm.forward = functools.partial(functional.relu, inplace=False)


def eps(model):
    model.norm.eps = 0.1


def setting(model):
    model.power = 2.0


EDITS = {
    "width": lambda: net(features=5),
    "setting": lambda: net(power=2.0),
    **{
        change.__name__: lambda change=change: (model := net(), change(model))[0]
        for change in (frozen, hung, patched, wrapped, eps, setting, nn.Module.eval)
    },
}


def test_the_same_net_has_the_same_fingerprint_whatever_its_weights():
    torch.manual_seed(0)
    assert fingerprint(net()) == fingerprint(net()) is not None
    with torch.device("meta"):
        assert fingerprint(net()) == fingerprint(Net())


@pytest.mark.parametrize("edit", EDITS)
def test_a_changed_net_has_another(edit):
    assert fingerprint(EDITS[edit]()) != fingerprint(net())


@pytest.mark.parametrize(
    ("home", "name", "value"),
    [
        (sys.modules[__name__], "helped", lambda x: x),
        (sys.modules[__name__], "SCALE", 3.0),
        (sys.modules[__name__], "SETTINGS", {"shift": 1.0}),
        (aside, "kept", lambda x: 0 * x),
        (Net, "normalised", False),
        (Net, "forward", lambda self, x: self.linear(x)),
        (nn.BatchNorm1d, "_check_input_dim", lambda self, x: None),
        (nn.Linear, "forward", lambda self, x: 0 * x),
        (functional, "batch_norm", lambda x, *_, **__: x),
        (search, "SPARE_ROWS", 7),
        (search, "_kind", lambda component, generators: ("dead", None)),
    ],
)
def test_changed_code_has_another(monkeypatch, home, name, value):
    before = fingerprint(net())
    monkeypatch.setattr(home, name, value)
    assert fingerprint(net()) not in (before, None)


def test_what_cannot_be_told_has_none():
    hooked, odd = net(), net()
    hooked.norm.register_forward_hook(lambda module, inputs, output: output)
    odd.store = object()
    assert fingerprint(hooked) is None and fingerprint(odd) is None
    assert fingerprint(nn.Sequential(InC())) is None


@pytest.mark.slow
def test_it_is_the_same_in_every_process():
    program = (
        "from limitcycle.lab.nets import build_net; from limitcycle.symmetry import fingerprint\n"
        "from limitcycle.record import Run\n"
        "print(fingerprint(build_net(Run(head_norm=None, width=8), (1, 8, 8), 10)))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1 and len(found.pop().strip()) == 32


@pytest.mark.parametrize(
    ("home", "name", "value"),
    [
        (mlp, "normalisation", lambda kind, channels: nn.Identity()),
        (layers.BatchNorm, "forward", lambda self, x: x),
        (functional, "batch_norm", lambda x, *_, **__: x),
    ],
)
def test_an_edited_net_is_not_answered_for_by_the_old_one(monkeypatch, tmp_path, home, name, value):
    """All normalisation is gone: nothing is scale-invariant any more."""
    monkeypatch.setenv("LIMITCYCLE_CACHE", str(tmp_path))
    data = load_dataset(SMALL, torch.device("cpu"))
    assert len(find_symmetries(SMALL, data).scale_invariant) == 3
    with monkeypatch.context() as edited:
        edited.setattr(home, name, value)
        assert find_symmetries(SMALL, data).scale_invariant == ()
    assert len(list((tmp_path / "symmetries").iterdir())) == 2
    assert len(find_symmetries(SMALL, data).scale_invariant) == 3
    assert len(list((tmp_path / "symmetries").iterdir())) == 2, "the old answer serves again"


def test_a_leak_is_that_of_the_run_s_own_eps(monkeypatch, tmp_path):
    monkeypatch.setenv("LIMITCYCLE_CACHE", str(tmp_path))
    leaks = []
    for eps in (1e-2, 0.0):
        run = Run(width=8, train_size=64, test_size=16, norm_eps=eps)
        groups = find_symmetries(run, load_dataset(run, torch.device("cpu"))).groups
        leaks.append(max(group.leak for group in groups))
    assert leaks[0] > 1e-4 > 1e-6 > leaks[1]


def test_the_lab_s_nets_have_one():
    for kind in ("mlp", "convnet", "resnet18"):
        with torch.device("meta"):
            made = build_net(Run(net=kind, head_norm=None), (3, 16, 16), 10)
        assert fingerprint(made)
