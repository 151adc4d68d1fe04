"""The options that say what a run is: those of ``train``, and of ``map``, where all may be axes.

A range LOW:HIGH:COUNT stands for its values. Nothing heavy is imported: help comes at once.
"""

import argparse
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from limitcycle.checks import LARGEST_COUNT, shown

MOST_VALUES = 1_000  # of a range
MOST_RUNS = 10_000  # of a grid


def number(text: str, what: str = "a number", kind: type[int] | type[float] = float) -> float:
    """``text`` as a number; argparse says what it should be instead."""
    try:
        return kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be {what}, not {shown(text)}") from None


def count_of(text: str, what: str = "a whole number") -> int:
    """``text`` as a whole number that a table can hold."""
    found = int(number(text, what, int))
    if abs(found) > LARGEST_COUNT:
        raise argparse.ArgumentTypeError(f"must be {what} below 2^63, not {shown(text)}")
    return found


def _whole(text: str) -> int:
    return count_of(text)


def _real(text: str) -> float:
    return number(text)


def _batch_size(text: str) -> int | None:
    return None if text == "full" else count_of(text, "a whole number or full")


def _norm(text: str) -> float | str:
    return text if text == "start" else number(text, "a number or start")


def _or_none(text: str) -> float | None:
    return None if text == "none" else number(text, "a number or none")


class Setting(NamedTuple):
    """One setting of `limitcycle.Run` as an option.

    Attributes:
        name: of the setting.
        kind: makes its value of a text; bool stands for a flag.
        default: where it is not given.
        metavar, help: of the option.
        grid: ``train`` takes several values.
        ratios: a range goes by equal ratios; else, and from 0 on, by equal steps.
    """

    name: str
    kind: Callable[[str], Any] = str
    default: Any = None
    metavar: str = "N"
    help: str | None = None
    grid: bool = False
    ratios: bool = False

    @property
    def flag(self) -> str:
        """As it is typed."""
        return "--" + self.name.replace("_", "-")


SETTINGS = (
    Setting("net", default="mlp", metavar="mlp|convnet|resnet18"),
    Setting("data", default="digits", metavar="digits|cifar10|cifar100"),
    Setting("lr", _real, 0.1, metavar="X", grid=True, ratios=True),
    Setting("weight_decay", _real, 1e-3, metavar="X", grid=True, ratios=True),
    Setting("momentum", _real, 0.0, metavar="X", grid=True),
    Setting("batch_size", _batch_size, 128, help='or "full"', grid=True, ratios=True),
    Setting("seed", _whole, 0, grid=True),
    Setting("steps", _whole, help="updates (default 10,000)"),
    Setting("epochs", _whole, help="instead of --steps"),
    Setting("width", _whole, grid=True, ratios=True),
    Setting("depth", _whole),
    Setting("norm", default="batch", metavar="batch|batch-affine|group|layer|none"),
    Setting("norm_eps", _real, 1e-5, "X", ratios=True),
    Setting("head_norm", _or_none, 10.0, "X", 'of the head, or "none"', ratios=True),
    Setting("train_head", bool, help="train the head, too"),
    Setting("resolution", _whole, metavar="R", help="pixels a side"),
    Setting("train_size", _whole, help="images of a fixed random subset", ratios=True),
    Setting("test_size", _whole, ratios=True),
    Setting("augment", bool, help="random crop and flip"),
    Setting("dtype", default="float32", metavar="float32|float64"),
    Setting("schedule", default="constant", metavar="constant|cosine|linear|step"),
    Setting("warmup_steps", _whole, 0),
    Setting("init_scale", _real, 1.0, "X", ratios=True),
    Setting("fixed_norm", _norm, None, "X", 'hold the weight norm at X, or at its "start"',
            ratios=True),
    Setting("start_from", metavar="FILE", help="a checkpoint to take the weights from"),
    Setting("eval_every", _whole, help="steps (default: an epoch)"),
    Setting("train_pass", bool, help="measure epochs by a pass over the training set"),
    Setting("snapshot_every", _whole, help="steps between kept weights"),
)  # fmt: skip


def add_settings(group: "argparse._ArgumentGroup") -> None:
    """The options of ``train``: several values, or ranges, where runs make a grid."""
    for setting in SETTINGS:
        if setting.kind is bool:
            group.add_argument(setting.flag, action="store_true", help=setting.help)
        elif setting.grid:
            _add_several(group, setting, default=[setting.default])
        else:
            group.add_argument(
                setting.flag,
                type=setting.kind,
                default=setting.default,
                metavar=setting.metavar,
                help=setting.help,
            )


def add_axes(group: "argparse._ArgumentGroup", *, without: Sequence[str]) -> None:
    """The options of ``map``: any may have several values; None stands for one not given."""
    for setting in SETTINGS:
        if setting.name in without:
            continue
        if setting.kind is bool:
            group.add_argument(setting.flag, action="store_const", const=[True], help=setting.help)
        else:
            words = setting.metavar if "|" in setting.metavar else setting.help
            _add_several(group, setting._replace(help=words), default=None)


def _add_several(group: "argparse._ArgumentGroup", setting: Setting, *, default: Any) -> None:
    group.add_argument(
        setting.flag,
        type=lambda text: values(text, setting),
        action=_Joined,
        nargs="+",
        default=default,
        metavar="NAME" if "|" in setting.metavar else setting.metavar,
        help=setting.help,
    )


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
    if setting.kind in (_whole, _batch_size):
        return list(dict.fromkeys(round(value) for value in found))
    return [low, *(float(f"{value:.6g}") for value in found[1:-1]), high]


def _rises(low: Any, high: Any) -> bool:
    numbers = all(isinstance(end, int | float) and math.isfinite(end) for end in (low, high))
    return numbers and low < high


def _between(low: float, high: float, share: float, setting: Setting) -> float:
    if setting.ratios and low > 0:
        return float(low * (high / low) ** share)
    return low + (high - low) * share
