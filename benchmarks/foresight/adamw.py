"""AdamW, which the lab does not train: a plain loop that is watched, on the lab's digits."""

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

import limitcycle
from limitcycle.lab.feed import batches
from limitcycle.lab.setup import prepare
from limitcycle.record import LoadedRun, Run, load


def train_adamw(run: Run, folder: Path) -> LoadedRun:
    """Train a scale-invariant MLP by AdamW with the settings of ``run``, watched into ``folder``.

    Args:
        run: its data, batches, width, depth, learning rate, weight decay, steps and seed are used.
        folder: one that holds rows already is opened as it is.
    """
    if (folder / "diagnosis.json").is_file():
        return load(folder)
    torch.manual_seed(run.seed)
    setup = prepare(run, torch.device("cpu"))
    inputs = setup.data.train_images[0].numel()
    assert run.width is not None and run.depth is not None
    model = mlp(inputs, run.width, run.depth)
    trained = [each for each in model.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=run.lr, weight_decay=run.weight_decay)
    with limitcycle.watch(model, optimizer, sink=folder, quiet=True) as watch:
        for images, labels in batches(run, setup, 0, setup.total_steps):
            loss = functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            watch.log(loss=loss)
    return load(folder)


def mlp(inputs: int, width: int, depth: int) -> nn.Module:
    """An MLP normalised without gain and bias, its head frozen at norm 10: as in the lab."""
    layers: list[nn.Module] = [nn.Flatten()]
    for _ in range(depth):
        layers += [nn.Linear(inputs, width, bias=False)]
        layers += [nn.BatchNorm1d(width, affine=False), nn.ReLU()]
        inputs = width
    head = nn.Linear(width, 10)
    with torch.no_grad():
        head.weight *= 10 / head.weight.norm()
    head.requires_grad_(False)
    return nn.Sequential(*layers, head)
