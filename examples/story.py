"""A ResNet whose loss spikes: what `limitcycle.watch` says of it, and what comes of following that.

    python examples/story.py --out docs/story           # trains five times, then tells
    python examples/story.py --out docs/story --again   # tells what was recorded there

It is a training script as people have them, on scikit-learn's handwritten digits, with a weight
decay that is ten times what was meant. `story_told` makes words and numbers of the record,
`story_pictures` pictures; where there is a page of the same name beside --out (docs/story.md),
words and numbers are filled into it.
"""

import argparse
import copy
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_digits
from story_pictures import draw
from story_told import Told, filled
from torch import Tensor, nn
from torch.nn import functional as F

import limitcycle as lc
from limitcycle.reading.decayed import decayed

LR, MOMENTUM, BATCH = 0.1, 0.9, 128
MEANT, TYPED = 5e-4, 5e-3  # weight decay
STEPS, LOOK_EVERY = 3_000, 50
TRAINING_IMAGES = 11 * BATCH  # whole batches: a ragged one sets off jumps of its own


class Block(nn.Module):
    """Two convolutions and a way past them; every convolution is followed by a normalisation."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.past: nn.Module = nn.Identity()
        if stride > 1:
            down = nn.Conv2d(before, after, 1, stride, bias=False)
            self.past = nn.Sequential(down, nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) → (N, after, H/stride, W/stride)."""
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.past(x))


class ResNet(nn.Module):
    """A stem, two blocks and a linear head, for images (N, 1, 8, 8)."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        self.blocks = nn.Sequential(Block(width, width, 1), Block(width, 2 * width, 2))
        self.head = nn.Linear(2 * width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, 10)."""
        x = self.blocks(F.relu(self.bn(self.stem(x))))
        return self.head(x.mean((2, 3)))


def optimizer_for(model: nn.Module, lr: float, weight_decay: float) -> torch.optim.Optimizer:
    """The usual recipe: SGD with momentum, no weight decay on gains and biases."""
    weights = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": weight_decay}, {"params": rest}]
    return torch.optim.SGD(groups, lr=lr, momentum=MOMENTUM)


class Digits(NamedTuple):
    """Images (N, 1, 8, 8) and labels (N,), the training set first."""

    images: Tensor
    labels: Tensor

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """The batch of a step: every epoch has an order of its own."""
        epoch, place = divmod(step, TRAINING_IMAGES // BATCH)
        order = torch.randperm(TRAINING_IMAGES, generator=torch.Generator().manual_seed(epoch))
        mine = order[place * BATCH : (place + 1) * BATCH]
        return self.images[mine], self.labels[mine]

    def ends_epoch(self, step: int) -> bool:
        """Whether the batch of this step is the last of its epoch."""
        return (step + 1) % (TRAINING_IMAGES // BATCH) == 0

    def test_error(self, model: nn.Module) -> float:
        """The fraction of test images that ``model`` takes for another digit."""
        model.eval()
        with torch.no_grad():
            wrong = model(self.images[TRAINING_IMAGES:]).argmax(1) != self.labels[TRAINING_IMAGES:]
        model.train()
        return float(wrong.float().mean())


def load_data() -> Digits:
    """scikit-learn's 1,797 digits, shuffled."""
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    images = torch.tensor(pixels[order] / 8 - 1, dtype=torch.float32).reshape(-1, 1, 8, 8)
    return Digits(images, torch.tensor(labels[order]))


class Job(NamedTuple):
    """What a checkpoint is made of."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    watch: lc.Watch

    def save(self) -> dict[str, Any]:
        """A checkpoint."""
        return copy.deepcopy({name: part.state_dict() for name, part in self._asdict().items()})

    def load(self, checkpoint: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        for name, part in self._asdict().items():
            part.load_state_dict(checkpoint[name])

    def change(self, lr: float, weight_decay: float) -> None:
        """Other settings from now on."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.param_groups[0]["weight_decay"] = weight_decay


def train(
    data: Digits,
    steps: range,
    weight_decay: float,
    *,
    lr: float = LR,
    start: dict[str, Any] | None = None,
    hold: bool = False,
    look: Callable[[int, Job], None] = lambda _step, _job: None,
) -> pd.DataFrame:
    """Train under watch, from the checkpoint ``start`` if there is one; the record."""
    torch.manual_seed(0)
    model = ResNet()
    optimizer = optimizer_for(model, LR, weight_decay)
    tested = {}
    with lc.watch(model, optimizer, quiet=True) as w:
        job = Job(model, optimizer, w)
        if start is not None:
            job.load(start)
            job.change(lr, weight_decay)
        if hold:
            lc.hold_norm(optimizer, w.symmetries)
        for step in steps:
            if step and step % LOOK_EVERY == 0:
                look(step, job)
            images, labels = data.batch(step)
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            w.log(loss=loss)
            if data.ends_epoch(step):
                tested[step] = data.test_error(model)
        return record_of(w, tested)


def record_of(w: lc.Watch, tested: dict[int, float]) -> pd.DataFrame:
    """Loss, test error and two norms of every step: of what decays, and of all that is trained."""
    steps, _ = decayed(w.steps, w.groups)
    norms = w.groups["norm"].to_numpy().reshape(len(steps), -1)
    found = steps[["step", "loss", "norm", "lr", "weight_decay", "momentum"]]
    return found.assign(
        loss=found["loss"].astype("float32"),
        all_weights=np.linalg.norm(norms, axis=1).astype("float32"),
        test_error=found["step"].map(tested).astype("float32"),
    )


class Mistyped:
    """The run with the mistyped weight decay, looked at every `LOOK_EVERY` steps.

    The checkpoint is of the first look at which the run is called periodic and a jump is said to be
    near; failing that, of half-time.
    """

    def __init__(self, data: Digits, steps: int) -> None:
        self.looks: list[dict[str, Any]] = []
        self.moment, self.growth, self.checkpoint = 0, 1.0, {}
        self._half = steps // 2
        self.record = train(data, range(steps), TYPED, look=self._look)

    def _look(self, step: int, job: Job) -> None:
        said = job.watch.diagnosis()
        told = {"kind": said.advice.kind, "advice": said.advice.text, "said": str(said)}
        ahead = said.forecast
        coming = [None if math.isnan(each) else each for each in (ahead.low, ahead.high)]
        self.looks.append({"step": step, "label": said.label, **told, "range": coming})
        warned = (said.label, said.advice.kind) == ("periodic", "approaching")
        if not self.moment and (warned or step >= self._half):
            self.moment, self.growth, self.checkpoint = step, said.advice.growth, job.save()


def train_all(out: Path, steps: int = STEPS) -> None:
    """The mistyped run, and from the moment of the advice on four others; their records."""
    began = time.monotonic()
    data = load_data()
    mistyped = Mistyped(data, steps)
    rest, start = range(mistyped.moment, steps), mistyped.checkpoint
    lower = LR / mistyped.growth
    records = {
        "as-it-was": mistyped.record,
        "halved": train(data, rest, TYPED / 2, start=start),
        "held-lower": train(data, rest, TYPED, lr=lower, start=start, hold=True),
        "held": train(data, rest, TYPED, start=start, hold=True),
        "as-meant": train(data, rest, MEANT, start=start),
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, record in records.items():
        record.to_parquet(out / f"{name}.parquet", index=False)
    told = {"moment": mistyped.moment, "growth": mistyped.growth, "looks": mistyped.looks}
    (out / "looks.json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    print(f"trained in {time.monotonic() - began:.0f} s")


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, tell, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/story"))
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--again", action="store_true", help="from the record that is there")
    options = parser.parse_args(arguments)
    if not options.again:
        train_all(options.out, options.steps)
    told = Told.read(options.out)
    draw(told, options.out)
    page = options.out.with_suffix(".md")
    if page.exists():
        page.write_text(filled(page.read_text(encoding="utf-8"), told.blocks()), encoding="utf-8")
    print("\n\n".join(told.blocks().values()))


if __name__ == "__main__":
    main()
