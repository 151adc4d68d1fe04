"""What the engine is fed with: batches and hyperparameters, as functions of the step."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from limitcycle.lab.data import augment, order, take
from limitcycle.lab.setup import Setup
from limitcycle.record import Run

Batch = tuple[Tensor, Tensor]

_GATHERED = 16  # batches cut from the data set at once: small nets feel each operation
_GATHERED_BYTES = 1 << 26  # of several runs: so that many large batches are not cut ahead


class _Stretch(NamedTuple):
    """The images and labels of some steps in a row, uncut; ``first`` is the first of them."""

    first: int
    images: Tensor
    labels: Tensor


def batches(run: Run, setup: Setup, first: int, end: int) -> Iterator[Batch]:
    """Images (N, C, H, W) and labels (N,) of the steps from ``first`` to before ``end``."""
    size = setup.batch_size
    for t, images, labels in _stretches(run.seed, setup, first, end, _GATHERED):
        pieces = zip(torch.split(images, size), torch.split(labels, size), strict=True)
        for step, batch in enumerate(pieces, t):
            yield _augmented(run, setup, batch[0], step) if run.augment else batch[0], batch[1]


def batches_together(runs: Sequence[Run], setup: Setup, first: int, end: int) -> Iterator[Batch]:
    """The same for K runs that differ in their seeds: (K, N, C, H, W) and (K, N)."""
    size = setup.batch_size
    cut = len(runs) * size * setup.data.train_images[0].nbytes
    ahead = min(_GATHERED, max(1, _GATHERED_BYTES // cut))
    seeds = dict.fromkeys(run.seed for run in runs)
    streams = (_stretches(seed, setup, first, end, ahead) for seed in seeds)
    for parts in zip(*streams, strict=True):
        of = dict(zip(seeds, parts, strict=True))
        # Stacked as they lie in memory, channels last.
        images = torch.stack([of[run.seed].images.permute(0, 2, 3, 1) for run in runs])
        images = images.permute(0, 1, 4, 2, 3)
        labels = torch.stack([of[run.seed].labels for run in runs])
        pieces = zip(torch.split(images, size, 1), torch.split(labels, size, 1), strict=True)
        for step, batch in enumerate(pieces, parts[0].first):
            if runs[0].augment:
                each = zip(runs, batch[0], strict=True)
                shown = torch.stack([_augmented(run, setup, own, step) for run, own in each])
                batch = (shown, batch[1])
            yield batch


def hyper(run: Run, setup: Setup) -> dict[str, Tensor]:
    """The hyperparameters that do not change from step to step, as scalar tensors."""
    like = setup.state["weights"]
    values = {"weight_decay": run.weight_decay}
    if run.momentum:
        values["momentum"] = run.momentum
    tensors = {
        name: torch.tensor(value, dtype=like.dtype, device=like.device)
        for name, value in values.items()
    }
    if setup.norm is not None:
        tensors["norm"] = torch.tensor(setup.norm, dtype=torch.float64, device=like.device)
    return tensors


def _stretches(seed: int, setup: Setup, first: int, end: int, at_most: int) -> Iterator[_Stretch]:
    """The data in the order of the steps from ``first``, cut at epochs' ends."""
    data, size = setup.data, setup.batch_size
    count, device = len(data.train_labels), data.train_labels.device
    epoch_now, shuffled = -1, data.train_labels
    t = first
    while t < end:
        epoch, position = divmod(t, setup.epoch_steps)
        ahead = min(end - t, setup.epoch_steps - position, at_most)
        if size == count:  # the whole set in its own order: a sum needs no shuffling
            yield _Stretch(t, data.train_images, data.train_labels)
        else:
            if epoch != epoch_now:
                epoch_now, shuffled = epoch, order(seed, epoch, count).to(device)
            which = shuffled[position * size : (position + ahead) * size]
            yield _Stretch(t, take(data.train_images, which), data.train_labels[which])
        t += ahead


def _augmented(run: Run, setup: Setup, images: Tensor, step: int) -> Tensor:
    return augment(images, setup.data.black, run.seed, step)
