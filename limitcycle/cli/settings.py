"""The options that say what a run is: those of ``train``, and of ``map``, where all may be axes.

A range LOW:HIGH:COUNT stands for its values. Nothing heavy is imported: help comes at once.
"""

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from limitcycle.checks import shown
from limitcycle.cli.values import (
    MOST_VALUES,
    batch_size,
    completing,
    norm,
    number,
    or_none,
    real,
    whole,
)

MOST_RUNS = 10_000  # of a grid

# Of a map's axes that nobody gave values; on digits they show every region in one picture.
RANGES: Mapping[str, str] = {"lr": "0.03:30:12", "weight_decay": "0.0003:0.03:12"}

# Group of settings → its heading in the help.
GROUPS: Mapping[str, str] = {
    "training": "how to train",
    "net": "the net",
    "data": "the data",
    "measuring": "what to measure and keep",
}


class Setting(NamedTuple):
    """One setting of `limitcycle.Run` as an option.

    Attributes:
        name: of the setting.
        group: of `GROUPS`.
        help: of the option; its default is added where it names none.
        kind: makes its value of a text; bool stands for a flag.
        default: where it is not given.
        metavar: of the option, where it has no choices.
        choices: its words, where it takes no other; `limitcycle.Run` refuses what is none.
        grid: ``train`` takes several values.
        ratios: a range goes by equal ratios; else, and from 0 on, by equal steps.
    """

    name: str
    group: str
    help: str
    kind: Callable[[str], Any] = str
    default: Any = None
    metavar: str = "N"
    choices: tuple[str, ...] = ()
    grid: bool = False
    ratios: bool = False

    @property
    def flag(self) -> str:
        """As it is typed."""
        return "--" + self.name.replace("_", "-")

    @property
    def described(self) -> str:
        """The help with the default."""
        text = f"{self.help}: {', '.join(self.choices)}" if self.choices else self.help
        return text if self.default is None else f"{text} (default: {self.default})"

    @property
    def described_as_axis(self) -> str:
        """The help with the default where it may be an axis of a map."""
        if self.name not in RANGES:
            return self.described
        return f"{self.help} (default: {RANGES[self.name]} as an axis, else {self.default})"


SETTINGS = (
    Setting("net", "net", "which one", default="mlp", choices=("mlp", "convnet", "resnet18")),
    Setting("data", "data", "which set", default="digits",
            choices=("digits", "cifar10", "cifar100")),
    Setting("lr", "training", "learning rate η", real, 0.1, "X", grid=True, ratios=True),
    Setting("weight_decay", "training", "weight decay λ", real, 1e-3, "X", grid=True, ratios=True),
    Setting("momentum", "training", "heavy-ball momentum", real, 0.0, "X", grid=True),
    Setting("batch_size", "training", 'images a step, or "full"', batch_size, 128, grid=True,
            ratios=True),
    Setting("seed", "training", "of weights, order of the data and augmentation", whole, 0,
            grid=True),
    Setting("steps", "training", "updates to make (default: 10,000)", whole),
    Setting("epochs", "training", "passes over the data, instead of --steps", whole),
    Setting("width", "net", "units of a layer of the MLP, channels of the first layer of the "
            "others (default: 64, of the ConvNet 32)", whole, grid=True, ratios=True),
    Setting("depth", "net", "hidden layers of the MLP, widenings of the ConvNet (default: 3), "
            "blocks a stage of the ResNet (default: 2)", whole),
    Setting("norm", "net", "normalisation", default="batch",
            choices=("batch", "batch-affine", "group", "layer", "none")),
    Setting("norm_eps", "net", "eps in the normalisation's denominators", real, 1e-5, "X",
            ratios=True),
    Setting("head_norm", "net", 'norm to which the head\'s weights are scaled, or "none"', or_none,
            10.0, "X", ratios=True),
    Setting("train_head", "net", "train the head, too (default: it stays as it is)", bool),
    Setting("resolution", "data", "pixels a side, made by pooling (default: as they are)", whole,
            metavar="R"),
    Setting("classes", "data", "of its classes the first N, by label (default: all)", whole),
    Setting("train_size", "data", "images to train on, a fixed random subset (default: all)", whole,
            ratios=True),
    Setting("test_size", "data", "images to test on, likewise (default: all)", whole, ratios=True),
    Setting("drawn", "data", "how a subset is drawn; by row as earlier versions did",
            default="content", choices=("content", "row")),
    Setting("augment", "data", "crop and flip at random", bool),
    Setting("dtype", "net", "of weights and arithmetic", default="float32",
            choices=("float32", "float64")),
    Setting("schedule", "training", "of the learning rate", default="constant",
            choices=("constant", "cosine", "linear", "step")),
    Setting("warmup_steps", "training", "steps over which the learning rate rises first", whole, 0),
    Setting("init_scale", "training", "factor on the scale-invariant weights at the start", real,
            1.0, "X", ratios=True),
    Setting("fixed_norm", "training", "hold the weight norm at X, or at its "
            '"start" (default: it moves)', norm, None, "X", ratios=True),
    Setting("start_from", "training", "a checkpoint to take the weights from "
            "(default: random ones)", metavar="FILE"),
    Setting("eval_every", "measuring", "steps between test errors (default: an epoch)", whole),
    Setting("train_pass", "measuring", "measure the training error by a pass over the training set "
            "(default: from the steps)", bool),
    Setting("snapshot_every", "measuring", "steps between weights that are kept (default: none)",
            whole),
)  # fmt: skip


def add_settings(parser: argparse.ArgumentParser, *, without: Sequence[str] = ()) -> None:
    """The options of ``train``: several values, or ranges, where runs make a grid."""
    for setting, group in _grouped(parser, without):
        if setting.kind is bool:
            group.add_argument(setting.flag, action="store_true", help=setting.described)
        elif setting.grid:
            _add_several(group, setting, setting.described, default=[setting.default])
        else:
            action = group.add_argument(
                setting.flag,
                type=setting.kind,
                default=setting.default,
                metavar="WORD" if setting.choices else setting.metavar,
                help=setting.described,
            )
            completing(action, setting.choices)


def add_axes(parser: argparse.ArgumentParser, *, without: Sequence[str]) -> None:
    """The options of ``map``: any may have several values; None stands for one not given."""
    for setting, group in _grouped(parser, without):
        if setting.kind is bool:
            group.add_argument(
                setting.flag, action="store_const", const=[True], help=setting.described
            )
        else:
            _add_several(group, setting, setting.described_as_axis)


def _grouped(
    parser: argparse.ArgumentParser, without: Sequence[str]
) -> list[tuple[Setting, "argparse._ArgumentGroup"]]:
    """The settings, group by group, each with its group in the help."""
    groups = {name: parser.add_argument_group(heading) for name, heading in GROUPS.items()}
    return [
        (setting, groups[name])
        for name in GROUPS
        for setting in SETTINGS
        if setting.group == name and setting.name not in without
    ]


def _add_several(
    group: "argparse._ArgumentGroup", setting: Setting, text: str, *, default: Any = None
) -> None:
    action = group.add_argument(
        setting.flag,
        type=lambda text: values(text, setting),
        action=_Joined,
        nargs="+",
        default=default,
        metavar="WORD" if setting.choices else setting.metavar,
        help=text,
    )
    completing(action, setting.choices)


class _Joined(argparse.Action):
    """Several lists of values as one."""

    def __call__(
        self, parser: Any, namespace: argparse.Namespace, given: Any, option_string: Any = None
    ) -> None:
        setattr(namespace, self.dest, [value for each in given for value in each])


def values(text: str, setting: Setting) -> list[Any]:
    """One value, or those of a range LOW:HIGH:COUNT.

    Numbers of a range are rounded to six digits: so planes of which one is finer share cells.
    """
    if setting.kind is str or ":" not in text:
        return [setting.kind(text)]
    parts = text.split(":")
    if len(parts) != 3:
        raise argparse.ArgumentTypeError(f"a range is LOW:HIGH:COUNT, not {shown(text)}")
    low, high = (setting.kind(part) for part in parts[:2])
    count = int(number(parts[2], "a whole number as COUNT of a range", int))
    if not 2 <= count <= MOST_VALUES:
        raise argparse.ArgumentTypeError(f"COUNT must be 2 to {MOST_VALUES:,}, in {shown(text)}")
    if not _rises(low, high):
        raise argparse.ArgumentTypeError(f"LOW must be a number below HIGH, in {shown(text)}")
    found = [_between(low, high, at / (count - 1), setting) for at in range(count)]
    if not all(map(math.isfinite, found)):
        raise argparse.ArgumentTypeError(f"LOW and HIGH lie too far apart, in {shown(text)}")
    if setting.kind in (whole, batch_size):
        return list(dict.fromkeys(round(value) for value in found))
    return [low, *(float(f"{value:.6g}") for value in found[1:-1]), high]


def _rises(low: Any, high: Any) -> bool:
    numbers = all(isinstance(end, int | float) and math.isfinite(end) for end in (low, high))
    return numbers and low < high


def _between(low: float, high: float, share: float, setting: Setting) -> float:
    if setting.ratios and low > 0:
        return float(low * (high / low) ** share)
    return low + (high - low) * share
