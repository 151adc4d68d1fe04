"""The four scales: the same experiments on digits, on reduced CIFAR twice, and as published.

An experiment asks a scale for a run by the paper's pair of network and data; what these are at that
scale is said here and nowhere else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeVar

from limitcycle.errors import UserError, did_you_mean
from limitcycle.record import Run

ScaleName = Literal["quick", "laptop", "workstation", "paper"]
T = TypeVar("T")
Pair = Literal[
    "convnet-cifar10",
    "convnet-cifar100",
    "resnet18-cifar10",
    "resnet18-cifar100",
    "convnet-cifar10-wide",
    "convnet-cifar10-full-batch",
]
PAIR_TITLES: Mapping[Pair, str] = {
    "convnet-cifar10": "ConvNet on CIFAR-10",
    "convnet-cifar100": "ConvNet on CIFAR-100",
    "resnet18-cifar10": "ResNet-18 on CIFAR-10",
    "resnet18-cifar100": "ResNet-18 on CIFAR-100",
    "convnet-cifar10-wide": "ConvNet on CIFAR-10",
    "convnet-cifar10-full-batch": "ConvNet on CIFAR-10, full-batch GD",
}


@dataclass(frozen=True)
class World:
    """What a pair of the paper is at one scale.

    Attributes:
        settings: of `limitcycle.Run`, the same for all its runs.
        steps: updates of a run whose budget is not stated in units of 1/(ηλ): the scale's
            "1,000 epochs".
        step_ms: milliseconds a step with its share of evaluation, for estimates (one of two busy
            workers on two shared x86 cores; paper scale: counted arithmetic at half of what an H100
            is specified with in float32, ``benchmarks/paper_cost.py``).
    """

    settings: Mapping[str, Any]
    steps: int
    step_ms: float = field(compare=False)  # an estimate makes no two worlds of one


class Enough(NamedTuple):
    """When more of a run shows nothing new: after ``units`` of 1/(ηλ), but for ``least`` steps."""

    units: float
    least: int

    def of(self, steps: int, decay: float) -> int:
        """``steps``, or fewer where these are enough at ηλ = ``decay``."""
        if not decay > 0:
            return steps
        return min(steps, max(self.least, round(self.units / decay)))


@dataclass(frozen=True)
class Scale:
    """One of the four scales.

    Attributes:
        name: quick, laptop, workstation or paper.
        what: one sentence for readers.
        worlds: what each pair of the paper is here.
        lrs: the learning rates of the paper's grid (Figure 2), largest first.
        shown: those of them that are drawn where all would be too many (the paper shows four).
        weight_decay: of every experiment that does not vary it.
        lr: the learning rate at which a few long periods are seen (the paper's 0.01).
        fast_lr: the one at which many are (the paper's 0.03).
        digits: it is the digits twin: no colour images, no claims about CIFAR.
        enough: when a run ends before its world's ``steps``; None: never.
    """

    name: ScaleName
    what: str
    worlds: Mapping[Pair, World]
    lrs: tuple[float, ...]
    shown: tuple[float, ...]
    weight_decay: float
    lr: float
    fast_lr: float
    digits: bool = False
    enough: Enough | None = None

    def of(self, table: Mapping[str, T]) -> T:
        """A figure's own setting at this scale; the paper's where it names none for it."""
        return table[self.name] if self.name in table else table["paper"]

    def run(
        self,
        pair: Pair,
        *,
        lr: float | None = None,
        weight_decay: float | None = None,
        units: float | None = None,
        **changes: Any,
    ) -> Run:
        """A run of ``pair`` at this scale.

        Args:
            pair: network and data of the paper.
            lr, weight_decay: None takes the scale's own.
            units: budget in units of 1/(ηλ); None takes the world's ``steps``.
            changes: further settings of `limitcycle.Run`.
        """
        world = self.worlds[pair]
        lr = self.lr if lr is None else lr
        weight_decay = self.weight_decay if weight_decay is None else weight_decay
        steps = world.steps if units is None else round(units / (lr * weight_decay))
        settings = {**world.settings, "steps": steps, **changes}
        if units is None and self.enough:
            settings["steps"] = self.enough.of(settings["steps"], lr * weight_decay)
        return Run(lr=lr, weight_decay=weight_decay, **settings)

    def shared(self, lr: float) -> Run:
        """The ConvNet's run that many figures share: it keeps snapshots at a hundred instants."""
        steps = self.worlds["convnet-cifar10"].steps
        return self.run("convnet-cifar10", lr=lr, snapshot_every=steps // 100)

    def title(self, pair: Pair) -> str:
        """What readers are told they look at."""
        if self.digits:
            return f"digits twin of {PAIR_TITLES[pair]}"
        classes = self.worlds[pair].settings.get("classes")
        what = f"{classes} classes of CIFAR-100" if classes else "CIFAR-100"
        return PAIR_TITLES[pair].replace("CIFAR-100", what)

    def seconds(self, run: Run) -> float:
        """Estimated training time of one of its runs, on one core (paper scale: one GPU)."""
        for alike in (_COSTLY, ("net",)):  # exactly; else as a run of the same network
            for world in self.worlds.values():
                like = Run(**{**world.settings, "steps": 1})
                if all(getattr(run, name) == getattr(like, name) for name in alike):
                    return (run.steps or 0) * world.step_ms / 1000
        raise UserError(f"no run of the {self.name} scale: {run}")


# What the cost of a step hangs on.
_COSTLY = ("net", "data", "width", "depth", "resolution", "train_size", "batch_size")

_DIGITS = {"net": "mlp", "data": "digits", "eval_every": 55}
_SMALL = {"resolution": 16, "train_size": 2048, "test_size": 1000, "eval_every": 80}
_AS_PUBLISHED = {"train_pass": True}

QUICK = Scale(
    name="quick",
    what="handwritten digits and a multi-layer perceptron: the digits twin, in seconds a run",
    worlds={
        "convnet-cifar10": World({**_DIGITS}, 2_600, 0.9),
        "convnet-cifar100": World({**_DIGITS}, 2_600, 0.9),
        "resnet18-cifar10": World({**_DIGITS, "depth": 4}, 2_600, 1.1),
        "resnet18-cifar100": World({**_DIGITS, "depth": 4}, 2_600, 1.1),
        "convnet-cifar10-wide": World({**_DIGITS}, 2_600, 0.9),
        "convnet-cifar10-full-batch": World(
            {**_DIGITS, "train_size": 512, "batch_size": None}, 1_250, 1.8
        ),
    },
    lrs=(10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003),
    shown=(10.0, 0.3, 0.1, 0.01),
    weight_decay=0.01,
    lr=0.1,
    fast_lr=0.3,
    digits=True,
    enough=Enough(units=12.0, least=1_200),
)

_CONVNET = {"net": "convnet", "width": 8, **_SMALL}
_RESNET = {"net": "resnet18", "width": 4, **_SMALL}
# Of a hundred classes, ten images each, narrow nets learn nothing that a test could tell from a
# guess; of ten classes, a hundred images each, they err on less than half of the test images.
_TEN_OF_HUNDRED = {"data": "cifar100", "classes": 10, "train_size": 1024, "eval_every": 40}

LAPTOP = Scale(
    name="laptop",
    what="1,024 or 2,048 images of CIFAR at 16×16 and narrow networks: hours of two cores",
    worlds={
        "convnet-cifar10": World({**_CONVNET, "data": "cifar10"}, 8_000, 15.0),
        "convnet-cifar100": World({**_CONVNET, **_TEN_OF_HUNDRED, "width": 16}, 6_000, 49.0),
        "resnet18-cifar10": World({**_RESNET, "data": "cifar10"}, 5_000, 34.0),
        "resnet18-cifar100": World({**_RESNET, **_TEN_OF_HUNDRED, "head_norm": 20.0}, 5_000, 34.0),
        "convnet-cifar10-wide": World({**_CONVNET, "data": "cifar10"}, 8_000, 20.0),
        "convnet-cifar10-full-batch": World(
            {**_CONVNET, "data": "cifar10", "train_size": 256, "batch_size": None}, 4_000, 33.0
        ),
    },
    lrs=(3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001),
    shown=(1.0, 0.3, 0.1, 0.01),
    weight_decay=0.005,
    lr=0.1,
    fast_lr=0.3,
    enough=Enough(units=12.0, least=2_500),
)

_LARGER = {"resolution": 16, "train_size": 10_000, "test_size": 2_000, "eval_every": 79}
_CONVNET_16 = {"net": "convnet", "width": 16, **_LARGER}
_RESNET_8 = {"net": "resnet18", "width": 8, **_LARGER, "head_norm": 20.0}
_TWENTY = {"data": "cifar100", "classes": 20}

WORKSTATION = Scale(
    name="workstation",
    what="10,000 images of CIFAR at 16×16 and products ηλ as small as the paper's: nights of two "
    "cores",
    worlds={
        "convnet-cifar10": World({**_CONVNET_16, "data": "cifar10"}, 20_000, 25.0),
        "convnet-cifar100": World({**_CONVNET_16, **_TWENTY}, 20_000, 25.0),
        "resnet18-cifar10": World({**_RESNET_8, "data": "cifar10"}, 20_000, 70.0),
        "resnet18-cifar100": World({**_RESNET_8, **_TWENTY}, 20_000, 70.0),
        "convnet-cifar10-wide": World({**_CONVNET_16, "data": "cifar10"}, 20_000, 27.0),
        "convnet-cifar10-full-batch": World(
            {**_CONVNET_16, "data": "cifar10", "train_size": 1_024, "batch_size": None},
            10_000,
            200.0,
        ),
    },
    lrs=(3.0, 1.0, 0.3, 0.1, 0.03, 0.01),
    shown=(3.0, 0.3, 0.1, 0.01),
    weight_decay=0.001,
    lr=0.1,
    fast_lr=0.3,
    enough=Enough(units=12.0, least=10_000),
)

_EPOCHS_1000 = 391_000
_FULL_BATCH = {"train_size": 4_500, "test_size": 5_000, "batch_size": None}

PAPER = Scale(
    name="paper",
    what="the protocol as published, for one CUDA GPU",
    worlds={
        "convnet-cifar10": World(
            {"net": "convnet", "data": "cifar10", "width": 32, **_AS_PUBLISHED}, _EPOCHS_1000, 2.3
        ),
        "convnet-cifar100": World(
            {"net": "convnet", "data": "cifar100", "width": 64, "head_norm": 20.0, **_AS_PUBLISHED},
            _EPOCHS_1000,
            10.8,
        ),
        "resnet18-cifar10": World(
            {"net": "resnet18", "data": "cifar10", "width": 64, **_AS_PUBLISHED}, _EPOCHS_1000, 26.3
        ),
        "resnet18-cifar100": World(
            {"net": "resnet18", "data": "cifar100", "width": 64, **_AS_PUBLISHED},
            _EPOCHS_1000,
            26.3,
        ),
        "convnet-cifar10-wide": World(
            {"net": "convnet", "data": "cifar10", "width": 64, **_AS_PUBLISHED}, _EPOCHS_1000, 10.2
        ),
        "convnet-cifar10-full-batch": World(
            {"net": "convnet", "data": "cifar10", "width": 32, **_FULL_BATCH}, 100_000, 35.0
        ),
    },
    lrs=(3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001),
    shown=(1.0, 0.03, 0.01, 0.001),
    weight_decay=0.001,
    lr=0.01,
    fast_lr=0.03,
)

SCALES: Mapping[str, Scale] = {scale.name: scale for scale in (QUICK, LAPTOP, WORKSTATION, PAPER)}


def scale_named(name: str) -> Scale:
    """The scale called ``name``.

    Raises:
        UserError: there is none.
    """
    if name not in SCALES:
        meant = did_you_mean(name, SCALES)
        raise UserError(f"scale must be one of {', '.join(SCALES)}, not {name!r}{meant}")
    return SCALES[name]
