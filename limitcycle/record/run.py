"""What a run is: a frozen description, and its identity.

Where and how a run is computed (device, threads, folder, recording interval) is no part of it.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any, Literal, Self, get_args

from limitcycle.checks import finite, positive, shown, whole
from limitcycle.errors import UserError, did_you_mean
from limitcycle.record.files import read_object

Net = Literal["mlp", "convnet", "resnet18"]
Data = Literal["digits", "cifar10", "cifar100"]
CLASSES: Mapping[str, int] = {"digits": 10, "cifar10": 10, "cifar100": 100}
Norm = Literal["batch", "batch-affine", "group", "layer", "none"]
Schedule = Literal["constant", "cosine", "linear", "step"]
Dtype = Literal["float32", "float64"]
Drawn = Literal["content", "row"]

DEFAULT_STEPS = 10_000
LARGEST_EPS = 1e6  # of any use, and finite in float32

_COUNTS = (
    *("width", "depth", "resolution", "classes", "train_size", "test_size", "batch_size"),
    *("steps", "epochs", "eval_every", "snapshot_every"),
)
# More units, or layers, than any memory holds, and few enough that sizes do not overflow.
_MOST = {"width": 2**20, "depth": 1_000}
# What a float32 holds to its full precision; a number below it is 0 to the run, or nearly.
_FLOAT32 = (2.0**-126, (2 - 2.0**-23) * 2.0**127)
_NUMBERS = ("lr", "weight_decay", "momentum", "init_scale", "norm_eps")
DEFAULT_WIDTH: Mapping[str, int] = {"mlp": 64, "convnet": 32, "resnet18": 64}
DEFAULT_DEPTH: Mapping[str, int] = {"mlp": 3, "convnet": 3, "resnet18": 2}


@dataclass(frozen=True)
class Run:
    """A training run of the lab, described completely.

    The defaults are the paper's fully scale-invariant setup (Section 2, Appendix B): normalisation
    without affine parameters, head frozen at random initialisation with its weight matrix scaled to
    Frobenius norm 10, plain SGD of Eq. (1) with constant learning rate, no augmentation.

    >>> import limitcycle as lc
    >>> run = lc.Run(net="mlp", lr=0.3, steps=1000)
    >>> run.weight_decay, run.batch_size
    (0.001, 128)

    Attributes:
        net: ``mlp``, ``convnet`` or ``resnet18``.
        data: ``digits``, ``cifar10`` or ``cifar100``.
        lr: learning rate η, per step.
        weight_decay: λ of Eq. (1), applied to every trained parameter.
        momentum: heavy-ball momentum in [0, 1), PyTorch's convention.
        batch_size: images a step; ``None`` (or ``"full"``) takes the whole training set at once.
        steps: updates to make (10,000 where neither it nor ``epochs`` is given).
        epochs: passes over the training set, instead of ``steps``.
        seed: of initialisation, order of the data and augmentation.
        width: units of the MLP's layers, channels of the ConvNet's or the ResNet's first layer.
        depth: hidden layers of the MLP, widenings of the ConvNet, blocks a stage of the ResNet.
        norm: the normalisation; ``none`` and the per-sample ones serve as controls.
        norm_eps: eps in its denominators, which breaks the scale invariance a little.
        head_norm: Frobenius norm to which the head's weight matrix is scaled; ``None`` leaves it.
        train_head: train the head instead of freezing it.
        resolution: side of the images in pixels after average pooling; ``None``: as they are.
        classes: of the data set's classes the first so many, by label; ``None``: all.
        train_size, test_size: subset sizes in images; ``None``: all.
        drawn: how a subset is chosen: by ``content``, so that it is the same wherever the data come
            from, or by ``row``, as earlier versions did.
        augment: random crop (padding an eighth of the side) and horizontal flip.
        dtype: of weights and arithmetic.
        schedule: factor on ``lr`` over the run: constant, cosine or linear to zero, or a step down
            by ten at half and again at three quarters of the run.
        warmup_steps: steps over which ``lr`` rises linearly first.
        init_scale: factor on the scale-invariant weights at the start.
        fixed_norm: rescale the scale-invariant weights to this joint norm after every step;
            ``"start"``: the norm they start with. The sphere of the paper's ablation (Figure 4).
        start_from: a checkpoint file whose weights the run starts with.
        eval_every: steps between evaluations; ``None``: an epoch, or 50 for full batch.
        train_pass: measure the epoch table's training columns by the paper's additional pass over
            the training set instead of averaging them over the steps as they happen.
        snapshot_every: steps between weight snapshots that are kept for good; ``None``: none.
    """

    net: Net = "mlp"
    data: Data = "digits"
    lr: float = 0.1
    weight_decay: float = 1e-3
    momentum: float = 0.0
    batch_size: int | Literal["full"] | None = 128
    steps: int | None = None
    epochs: int | None = None
    seed: int = 0
    width: int | None = None
    depth: int | None = None
    norm: Norm = "batch"
    norm_eps: float = 1e-5
    head_norm: float | None = 10.0
    train_head: bool = False
    resolution: int | None = None
    classes: int | None = None
    train_size: int | None = None
    test_size: int | None = None
    drawn: Drawn = "content"
    augment: bool = False
    dtype: Dtype = "float32"
    schedule: Schedule = "constant"
    warmup_steps: int = 0
    init_scale: float = 1.0
    fixed_norm: float | Literal["start"] | None = None
    start_from: str | None = None
    eval_every: int | None = None
    train_pass: bool = False
    snapshot_every: int | None = None

    def __post_init__(self) -> None:
        _one_of("net", self.net, get_args(Net))  # others' defaults hang on it
        if isinstance(self.batch_size, str) and self.batch_size == "full":
            object.__setattr__(self, "batch_size", None)
        if self.steps is None and self.epochs is None:
            object.__setattr__(self, "steps", DEFAULT_STEPS)
        if self.width is None:
            object.__setattr__(self, "width", DEFAULT_WIDTH.get(self.net))
        if self.depth is None:
            object.__setattr__(self, "depth", DEFAULT_DEPTH.get(self.net))
        for name in (*_COUNTS, "seed", "warmup_steps"):
            object.__setattr__(self, name, _plain_int(getattr(self, name)))
        object.__setattr__(self, "start_from", _plain_path(self.start_from))
        for name in _NUMBERS:
            object.__setattr__(self, name, finite(name, getattr(self, name)))
        _check(self)

    @property
    def identity(self) -> str:
        """Hash of the description: equal for equal runs, wherever they are computed.

        Where it starts from another run's checkpoint, that run's identity and the checkpoint's
        name stand for the path, so that folders may be moved and spelled as one likes.
        """
        described = {**self.to_dict(), "start_from": _origin(self.start_from)}
        # These came later: what does not use them is the run that it was.
        if self.classes is None:
            del described["classes"]
        if self.drawn == "row" or not self.draws_subset:
            del described["drawn"]
        text = json.dumps(described, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def draws_subset(self) -> bool:
        """Whether it asks for a part of the images of its classes."""
        return self.train_size is not None or self.test_size is not None

    def to_dict(self) -> dict[str, Any]:
        """The description as plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`; a description without ``drawn`` is from before there was one.

        Raises:
            UserError: a name that no run has.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(content) - known)
        if unknown:
            names = ", ".join(sorted(known))
            raise UserError(f"a run has no setting {unknown[0]!r}; it has {names}")
        return cls(**{"drawn": "row", **content})


def _origin(start_from: str | None) -> str | None:
    """A checkpoint by its run's identity and its own name; by its path where it is nobody's."""
    if start_from is None:
        return None
    path = Path(start_from).absolute()
    try:
        identity = read_object(path.parent.parent / "run.json")["identity"]
    except (UserError, KeyError):
        return start_from
    return f"{identity}/{path.parent.name}/{path.name}"


def _plain_int(value: Any) -> Any:
    """NumPy's integers as Python's; everything else as it is."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        return value
    return int(value)


def _plain_path(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _check(run: Run) -> None:
    """Refuse what cannot be run, by name."""
    for name, kind in (("data", Data), ("norm", Norm), ("dtype", Dtype), ("drawn", Drawn)):
        _one_of(name, getattr(run, name), get_args(kind))
    _one_of("schedule", run.schedule, get_args(Schedule))
    for name in _COUNTS:
        if getattr(run, name) is not None:
            most = {"most": _MOST[name]} if name in _MOST else {}
            whole(name, getattr(run, name), **most)
    if run.classes is not None and not 2 <= run.classes <= CLASSES[run.data]:
        raise UserError(
            f"classes must be 2 to {CLASSES[run.data]} of {run.data}, not {run.classes}"
        )
    for name in ("seed", "warmup_steps"):
        whole(name, getattr(run, name), least=0)
    if run.steps is not None and run.epochs is not None:
        raise UserError("give either steps or epochs, not both")
    for name in ("lr", "init_scale"):
        positive(name, getattr(run, name))
    for name in ("weight_decay", "norm_eps"):
        if getattr(run, name) < 0:
            raise UserError(f"{name} must not be negative, not {getattr(run, name)!r}")
    if run.norm_eps > LARGEST_EPS:
        raise UserError(f"norm_eps must be at most {LARGEST_EPS:g}, not {run.norm_eps!r}")
    for name in ("train_head", "augment", "train_pass"):
        if not isinstance(getattr(run, name), bool):
            raise UserError(f"{name} must be True or False, not {shown(getattr(run, name))}")
    if run.start_from is not None and not isinstance(run.start_from, str):
        raise UserError(f"start_from must be a checkpoint's path, not {shown(run.start_from)}")
    if run.lr * run.weight_decay >= 1:
        raise UserError(f"lr × weight_decay is {run.lr * run.weight_decay:g}: it must be below 1")
    if not 0 <= run.momentum < 1:
        raise UserError(f"momentum must be at least 0 and below 1, not {run.momentum!r}")
    for name in ("head_norm", "fixed_norm"):
        value = getattr(run, name)
        if isinstance(value, str) and (name, value) == ("fixed_norm", "start"):
            continue
        if value is not None:
            positive(name, value)
    if run.dtype == "float32":
        for name in (*_NUMBERS, "head_norm", "fixed_norm"):
            _check_float32(name, getattr(run, name))


def _one_of(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in choices:
        meant = did_you_mean(value, choices)
        raise UserError(f"{name} must be one of {', '.join(choices)}, not {shown(value)}{meant}")


def _check_float32(name: str, value: Any) -> None:
    """Refuse a number that a float32 cannot hold: it would be another one to the run."""
    least, most = _FLOAT32
    if value is None or isinstance(value, str) or value == 0 or least <= value <= most:
        return
    raise UserError(
        f"{name} must be from {least:.1e} to {most:.1e} in float32, not {shown(value)}: choose "
        "another, or dtype float64"
    )
