"""Data sets as tensors that live on the device, and batches cut from them by index.

Images are normalised once, when they are loaded; crop and flip work on whole batches. Every random
choice is a function of (seed, epoch) or (seed, step), so that nothing has to be remembered.
"""

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from limitcycle.lab.fits import check_resolution, check_subset
from limitcycle.lab.sources import Images, load_images
from limitcycle.record import Run

# Published statistics that the paper's protocol normalises with, for both CIFARs.
_CIFAR_MEAN = (0.4914, 0.4822, 0.4465)
_CIFAR_STD = (0.2023, 0.1994, 0.2010)
_SUBSET_SEED = 0  # subsets are the same for every seed of a run: seeds compare runs, not data


@dataclass(frozen=True)
class Dataset:
    """A data set, normalised, on one device.

    Attributes:
        train_images, test_images: (N, C, H, W), floating.
        train_labels, test_labels: (N,), int64.
        classes: number of classes.
        black: (C, 1, 1), what a black pixel is after normalisation (padding of the crop).
        remark: what the user should know of it ("" where there is nothing).
        digest: of the images and labels, in their order.
    """

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: int
    black: Tensor
    remark: str = ""
    digest: str = ""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        channels, height, width = self.train_images.shape[1:]
        return channels, height, width


def load_dataset(run: Run, device: torch.device) -> Dataset:
    """The run's data set: its classes, its subset, at its resolution, in its dtype, on ``device``.

    Raises:
        UserError: the data cannot be found or read, or the subset asked for is larger than it.
    """
    source = load_images(run.data)
    dtype = getattr(torch, run.dtype)
    mean, std = _statistics(run, source)
    parts, content = {}, blake2b(digest_size=8)
    for name, raw, labels, size in (
        ("train", source.train_images, source.train_labels, run.train_size),
        ("test", source.test_images, source.test_labels, run.test_size),
    ):
        chosen = chosen_rows(run, name, raw, labels, size)
        content.update(raw[chosen].tobytes())
        content.update(labels[chosen].tobytes())
        pixels = torch.from_numpy(raw[chosen]).to(torch.float32) / source.white
        pixels = _reduce(pixels, run.resolution)
        images = ((pixels - mean) / std).to(device, dtype)
        # Channels last in memory, and so every batch that is cut from it.
        parts[name] = images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
        parts[name + "_labels"] = torch.from_numpy(labels[chosen]).to(device)
    return Dataset(
        parts["train"],
        parts["train_labels"],
        parts["test"],
        parts["test_labels"],
        run.classes or source.classes,
        (-mean / std).to(device, dtype),
        source.remark,
        content.hexdigest(),
    )


def take(images: Tensor, which: Tensor | slice) -> Tensor:
    """The images (n, C, H, W) at the indices or in the slice ``which``, channels last."""
    rows = images.permute(0, 2, 3, 1)
    chosen = rows[which] if isinstance(which, slice) else rows.index_select(0, which)
    return chosen.permute(0, 3, 1, 2)


def order(seed: int, epoch: int, size: int) -> Tensor:
    """The order of the data in an epoch: a permutation (size,), int64, on the CPU."""
    return torch.randperm(size, generator=_generator(seed, 0, epoch))


def augment(images: Tensor, black: Tensor, seed: int, step: int) -> Tensor:
    """Random crop after padding an eighth of the side, and horizontal flip, image by image.

    Args:
        images: (N, C, H, H), normalised.
        black: (C, 1, 1), the padding.
        seed: of the run.
        step: of the update that the batch is for.

    Returns:
        (N, C, H, H).
    """
    count, channels, side, _ = images.shape
    pad = side // 8
    generator = _generator(seed, 1, step)
    shift = torch.randint(0, 2 * pad + 1, (2, count), generator=generator)
    flip = torch.randint(0, 2, (count,), generator=generator, dtype=torch.bool)
    columns = shift[1, :, None] + torch.arange(side)
    columns = torch.where(flip[:, None], columns.flip(1), columns)
    rows = _sent(shift[0, :, None] + torch.arange(side), images.device)
    columns = _sent(columns, images.device)
    # Padding with black in pixel space is padding with its image under the normalisation.
    padded = F.pad(images - black, (pad, pad, pad, pad)) + black
    which = torch.arange(count, device=images.device)[:, None, None, None]
    channel = torch.arange(channels, device=images.device)[None, :, None, None]
    return padded[which, channel, rows[:, None, :, None], columns[:, None, None, :]]


def _generator(seed: int, purpose: int, index: int) -> torch.Generator:
    """A fresh generator on the CPU for one purpose; mixing keeps neighbouring indices apart."""
    state = np.random.SeedSequence([seed, purpose, index]).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(state[0]) << 31 | int(state[1]) >> 1)


def _sent(tensor: Tensor, device: torch.device) -> Tensor:
    """``tensor`` on ``device``, without waiting for what that is still at."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def chosen_rows(
    run: Run, name: str, images: NDArray[np.uint8], labels: NDArray[np.int64], size: int | None
) -> NDArray[np.int64]:
    """The rows of the run's images, (size,): those of its classes, and of these its subset.

    Args:
        run: says which classes, and by what a subset is drawn.
        name: ``train`` or ``test``, for a refusal.
        images, labels: all of the part, (N, C, H, W) and (N,).
        size: of the subset; None takes all.

    Raises:
        UserError: there are fewer.
    """
    rows = np.arange(len(labels))
    what = f"{run.data} {name}"
    if run.classes is not None:
        rows = rows[labels < run.classes]
        what = f"{what} ({run.classes} classes)"
    if size is None or size == len(rows):
        return rows
    check_subset(what, len(rows), size)
    if run.drawn == "row":
        return rows[np.random.default_rng(_SUBSET_SEED).permutation(len(rows))[:size]]
    hashes = np.array([_hash(images[row], int(labels[row])) for row in rows])
    return rows[np.argsort(hashes, kind="stable")[:size]]


def _hash(image: NDArray[np.uint8], label: int) -> int:
    """A number that hangs on pixels and label alone: a random order, whatever the rows' is."""
    seeded = f"{_SUBSET_SEED} {label} ".encode()
    return int.from_bytes(blake2b(seeded + image.tobytes(), digest_size=8).digest()) >> 1


def _reduce(pixels: Tensor, resolution: int | None) -> Tensor:
    side = pixels.shape[-1]
    if resolution is None or resolution == side:
        return pixels
    check_resolution(side, resolution)
    return F.avg_pool2d(pixels, side // resolution)


def _statistics(run: Run, source: Images) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation per channel, (C, 1, 1)."""
    if run.data == "digits":
        pixels = torch.from_numpy(source.train_images).to(torch.float32) / source.white
        return pixels.mean().view(1, 1, 1), pixels.std().view(1, 1, 1)
    return torch.tensor(_CIFAR_MEAN).view(3, 1, 1), torch.tensor(_CIFAR_STD).view(3, 1, 1)
