"""The conventional way to the paper's Figure 2: train, keep checkpoints, measure them afterwards.

This is how the paper's public code and most scripts do it. Images go one by one through the usual
transforms in the workers of a `DataLoader`; the model and the optimizer are PyTorch's; a checkpoint
is kept at the start and after every epoch; afterwards every checkpoint is loaded and three passes
are made: loss and error on the training set, the same on the test set, and the gradient of the
whole training set. Nothing is slowed down: workers persist between epochs, no number is printed
inside an epoch, and training must keep to within 15 % of bare forward and backward passes on one
batch, which is measured beside it.

`Aids` switches on what the lab does besides, one thing at a time.

    python -m benchmarks.conventional                  # CIFAR-10 from LIMITCYCLE_DATA or the hub
    python -m benchmarks.conventional --epochs 5 --train-size 5120
"""

import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from benchmarks.common import Row, Timed, clock, options, shown
from limitcycle.lab import machine
from limitcycle.lab.data import chosen_rows, load_dataset
from limitcycle.lab.nets import build_net
from limitcycle.lab.sources import load_images
from limitcycle.record import Run

RUN = Run(
    net="convnet", data="cifar10", lr=0.1, train_size=2_560, test_size=512, epochs=2
)  # the paper's five training images to a test image
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
AT_MOST = 1.15  # of the bare rate
BARE_PASSES = 3  # before each epoch

Batches = Any  # whatever yields (images, labels)


class Aids(NamedTuple):
    """What the lab does and a conventional script does not."""

    allocator: bool = False
    channels_last: bool = False
    resident: bool = False


class Spent(NamedTuple):
    """Seconds by part, updates made, the bare pass' seconds, and the epoch table."""

    seconds: dict[str, float]
    steps: int
    bare: float
    table: list[dict[str, float]]

    @property
    def total(self) -> float:
        """Training, checkpoints and the passes over them."""
        return sum(self.seconds.values())


class Pictures(Dataset[tuple[Tensor, int]]):
    """Images in memory that are transformed one by one, when they are asked for.

    The transforms are torchvision's ``ToTensor`` and ``Normalize``, operation by operation.

    Args:
        images: (N, C, H, W) uint8.
        labels: (N,).
        white: the value of a white pixel.
        mean, std: by channel.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.int64],
        white: float,
        mean: tuple[float, ...] = MEAN,
        std: tuple[float, ...] = STD,
    ) -> None:
        self.images = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
        self.labels, self.white = labels.tolist(), white
        self.mean, self.std = mean, std

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Image (C, H, W) and label."""
        pixels = self.images[index]
        image = Image.fromarray(pixels if pixels.shape[-1] == 3 else pixels[..., 0])
        return self._normalised(self._tensor(image)), self.labels[index]

    def _tensor(self, image: Image.Image) -> Tensor:
        array = torch.from_numpy(np.array(image, np.uint8, copy=True))
        array = array.view(image.size[1], image.size[0], len(image.getbands()))
        return array.permute(2, 0, 1).contiguous().to(torch.float32).div(self.white)

    def _normalised(self, image: Tensor) -> Tensor:
        mean = torch.as_tensor(self.mean, dtype=image.dtype).view(-1, 1, 1)
        std = torch.as_tensor(self.std, dtype=image.dtype).view(-1, 1, 1)
        return image.clone().sub_(mean).div_(std)


class Resident:
    """Normalised images in memory, cut into batches by index: what the lab does instead."""

    def __init__(self, images: Tensor, labels: Tensor, size: int, *, shuffle: bool) -> None:
        self.images, self.labels, self.size, self.shuffle = images, labels, size, shuffle

    def __len__(self) -> int:
        return -(-len(self.labels) // self.size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm if self.shuffle else torch.arange
        for which in torch.split(order(len(self.labels)), self.size):
            yield self.images[which], self.labels[which]


class Loaders(NamedTuple):
    """Batches: of the training set in random order and in its own, and of the test set."""

    shuffled: Batches
    train: Batches
    test: Batches


def go(run: Run = RUN, aids: Aids = Aids()) -> Spent:  # noqa: B008 - immutable
    """Train and measure; the seconds that each part took."""
    if aids.allocator:
        machine.own_process()
    torch.manual_seed(run.seed)
    loaders, model = loaders_of(run, aids), model_of(run, aids)
    spent: dict[str, float] = defaultdict(float)
    with tempfile.TemporaryDirectory() as folder:
        bare, steps = train(run, model, loaders.shuffled, Path(folder), spent, aids)
        table = [
            measured(model, path, loaders, spent, aids) for path in sorted(Path(folder).iterdir())
        ]
    return Spent(dict(spent), steps, bare, table)


def model_of(run: Run, aids: Aids) -> nn.Module:
    """The run's network as an ordinary module."""
    source = load_images(run.data)
    channels, side = source.train_images.shape[1:3]
    model = build_net(run, (channels, side, side), source.classes)
    return model.to(memory_format=torch.channels_last) if aids.channels_last else model


def loaders_of(run: Run, aids: Aids) -> Loaders:
    """The same images in the same subsets as the lab's, as scripts load them."""
    size = run.batch_size
    assert isinstance(size, int)
    if aids.resident:
        data = load_dataset(run, torch.device("cpu"))
        train, test = (data.train_images, data.train_labels), (data.test_images, data.test_labels)
        return Loaders(
            Resident(*train, size, shuffle=True),
            Resident(*train, size, shuffle=False),
            Resident(*test, size, shuffle=False),
        )
    pictures, test_pictures = pictures_of(run)
    workers: dict[str, Any] = {"num_workers": min(2, machine.cores()), "persistent_workers": True}
    return Loaders(
        DataLoader(pictures, size, shuffle=True, **workers),
        DataLoader(pictures, size, **workers),
        DataLoader(test_pictures, size, **workers),
    )


def pictures_of(run: Run) -> tuple[Pictures, Pictures]:
    """Training and test images of the run, untransformed."""
    source = load_images(run.data)
    looks: dict[str, Any] = {}
    if run.data == "digits":
        pixels = torch.from_numpy(source.train_images) / source.white
        looks = {"mean": (float(pixels.mean()),), "std": (float(pixels.std()),)}
    parts = (
        ("train", source.train_images, source.train_labels, run.train_size),
        ("test", source.test_images, source.test_labels, run.test_size),
    )
    found = []
    for name, images, labels, size in parts:
        rows = chosen_rows(run, name, images, labels, size)
        found.append(Pictures(images[rows], labels[rows], source.white, **looks))
    return found[0], found[1]


def train(
    run: Run,
    model: nn.Module,
    batches: Batches,
    folder: Path,
    spent: dict[str, float],
    aids: Aids,
) -> tuple[float, int]:
    """The training loop with its checkpoints; the bare pass' seconds, and the updates made."""
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(weights, lr=run.lr, weight_decay=run.weight_decay)
    bare = bare_pass(model, next(iter(batches)), aids)
    bare()
    passes, steps = [], 0
    keep(model, optimizer, folder / "epoch-000.pt", spent)
    for epoch in range(1, (run.epochs or 1) + 1):
        passes += [clock(bare) for _ in range(BARE_PASSES)]
        began = time.perf_counter()
        for images, labels in batches:
            loss = F.cross_entropy(model(laid_out(images, aids)), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            steps += 1
        spent["training"] += time.perf_counter() - began
        keep(model, optimizer, folder / f"epoch-{epoch:03d}.pt", spent)
    return float(np.median(passes)), steps


def bare_pass(model: nn.Module, batch: tuple[Tensor, Tensor], aids: Aids) -> Any:
    """Forward and backward on one batch and nothing else; running statistics stay as they were."""
    images, labels = laid_out(batch[0], aids), batch[1]
    weights = [p for p in model.parameters() if p.requires_grad]

    def once() -> None:
        kept = [buffer.clone() for buffer in model.buffers()]
        torch.autograd.grad(F.cross_entropy(model(images), labels), weights)
        for buffer, former in zip(model.buffers(), kept, strict=True):
            buffer.copy_(former)

    return once


def keep(model: nn.Module, optimizer: Any, path: Path, spent: dict[str, float]) -> None:
    """Save a checkpoint."""
    began = time.perf_counter()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)
    spent["checkpoints"] += time.perf_counter() - began


def measured(
    model: nn.Module, path: Path, loaders: Loaders, spent: dict[str, float], aids: Aids
) -> dict[str, float]:
    """Load a checkpoint and make the three passes over it."""
    row: dict[str, float] = {}
    for name, call in (
        ("train pass", lambda: loss_and_error(model, loaders.train, aids, "train")),
        ("test pass", lambda: loss_and_error(model, loaders.test, aids, "test")),
        ("gradient pass", lambda: full_gradient(model, loaders.train, aids)),
    ):
        began = time.perf_counter()
        model.load_state_dict(torch.load(path, weights_only=True)["model"])
        row |= call()
        spent[name] += time.perf_counter() - began
    return row


@torch.no_grad()
def loss_and_error(model: nn.Module, batches: Batches, aids: Aids, name: str) -> dict[str, float]:
    """Mean loss and error in eval mode."""
    model.eval()
    loss = wrong = count = 0.0
    for images, labels in batches:
        logits = model(laid_out(images, aids))
        loss += F.cross_entropy(logits, labels, reduction="sum").item()
        wrong += (logits.argmax(1) != labels).sum().item()
        count += len(labels)
    return {f"{name}_loss": loss / count, f"{name}_error": wrong / count}


def full_gradient(model: nn.Module, batches: Batches, aids: Aids) -> dict[str, float]:
    """Norm of the gradient of the whole training set's mean loss, in train mode."""
    model.train()
    model.zero_grad()
    count = 0
    for images, labels in batches:
        F.cross_entropy(model(laid_out(images, aids)), labels, reduction="sum").backward()
        count += len(labels)
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    norm = torch.linalg.vector_norm(torch.stack([g.norm() for g in gradients]))
    return {"grad_norm": norm.item() / count}


def laid_out(images: Tensor, aids: Aids) -> Tensor:
    """The batch as the network is laid out."""
    layout = torch.channels_last if aids.channels_last else torch.contiguous_format
    return images.contiguous(memory_format=layout)


def fair(runs: Sequence[Spent]) -> Row:
    """Does training keep to the bare rate?"""
    steps = [spent.seconds["training"] / spent.steps for spent in runs]
    bares = [spent.bare for spent in runs]
    return Row(
        "conventional loop: training against its own bare passes",
        Timed("step", float(np.median(steps))),
        Timed("bare forward and backward", float(np.median(bares))),
        float(np.median(np.divide(steps, bares))),
        at_most=AT_MOST,
    )


def main() -> None:
    """Run it and say where its time went and whether it is fair."""
    parser = options(__doc__)
    parser.add_argument("--train-size", type=int, default=RUN.train_size)
    parser.add_argument("--test-size", type=int, default=RUN.test_size)
    parser.add_argument("--epochs", type=int, default=RUN.epochs)
    parser.add_argument("--width", type=int, default=RUN.width)
    given = parser.parse_args()
    spent = go(Run(**{**RUN.to_dict(), **vars(given)}))
    for name, seconds in spent.seconds.items():
        print(f"{name:14} {seconds:8.2f} s {seconds / spent.total:6.0%}")
    shown(lambda: [fair([spent])])


if __name__ == "__main__":
    main()
