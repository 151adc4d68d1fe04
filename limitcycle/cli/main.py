"""The command line: its verbs and options, and how it ends.

Exit codes: 0; 1 the run itself failed; 2 the user's mistake; 130 interrupted. Nothing heavy is
imported before a verb is known, so that help comes at once.
"""

import argparse
import contextlib
import math
import signal
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import NoReturn

from limitcycle._version import __version__
from limitcycle.errors import RunError, UserError

# Verb → module of `limitcycle.cli`, and the function in it.
_VERBS = {
    "demo": ("demo", "demo"),
    "train": ("train", "train"),
    "paper": ("paper", "paper"),
    "report": ("show", "report"),
    "diagnose": ("show", "diagnose"),
    "probe": ("probe", "probe"),
}
_DESCRIPTION = "Watch, explain and reproduce the periodic behaviour of training with weight decay."


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"limitcycle: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    options = parser().parse_args(arguments)
    try:
        return _call(options)
    except UserError as problem:
        return _complain(str(problem), 2)
    except RunError as problem:
        return _complain(str(problem), 1)
    except KeyboardInterrupt:
        return _complain("interrupted; the same command goes on", 130)
    except BrokenPipeError:  # the reader of our output has seen enough
        sys.stderr.close()
        return 0


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    top = _Parser(prog="limitcycle", description=_DESCRIPTION)
    top.add_argument("--version", action="version", version=f"limitcycle {__version__}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    _add_demo(verbs.add_parser("demo", help="see the periodic behaviour of a real run in a minute"))
    _add_train(verbs.add_parser("train", help="train one run, or a grid of runs"))
    _add_paper(verbs.add_parser("paper", help="reproduce the paper's figures, check its claims"))
    _add_report(verbs.add_parser("report", help="draw runs as an interactive page or as pictures"))
    _add_diagnose(verbs.add_parser("diagnose", help="say in words what a run is doing"))
    _add_probe(verbs.add_parser("probe", help="find which parameters are scale-invariant"))
    return top


def _call(options: argparse.Namespace) -> int:
    module, function = _VERBS[options.verb]
    with _loading():
        verb = getattr(import_module(f"limitcycle.cli.{module}"), function)
    return int(verb(options))


@contextlib.contextmanager
def _loading() -> Iterator[None]:
    """While modules load, Ctrl-C ends the process at once: an import may swallow the exception."""
    former = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)


def _complain(message: str, code: int) -> int:
    print(f"limitcycle: {message}", file=sys.stderr)  # noqa: T201 - the command line's voice
    return code


def _add_demo(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--out", default="limitcycle-demo", metavar="DIR", help="where the runs go")
    verb.add_argument("--seed", type=int, default=0, metavar="N")
    verb.add_argument(
        "--workers", type=_count, metavar="N", help="runs at once (default: the cores)"
    )


def _add_train(verb: argparse.ArgumentParser) -> None:
    """What a run is, then how it is computed. Several values of an option marked * make a grid."""
    what = verb.add_argument_group("what to train (several values where + is shown make a grid)")
    what.add_argument("--net", default="mlp", metavar="mlp|convnet|resnet18")
    what.add_argument("--data", default="digits", metavar="digits|cifar10|cifar100")
    what.add_argument("--lr", type=float, nargs="+", default=[0.1], metavar="+")
    what.add_argument("--weight-decay", type=float, nargs="+", default=[1e-3], metavar="+")
    what.add_argument("--momentum", type=float, nargs="+", default=[0.0], metavar="+")
    what.add_argument(
        "--batch-size", type=_batch_size, nargs="+", default=[128], metavar="+", help='or "full"'
    )
    what.add_argument("--seed", type=int, nargs="+", default=[0], metavar="+")
    what.add_argument("--steps", type=int, metavar="N", help="updates (default 10,000)")
    what.add_argument("--epochs", type=int, metavar="N", help="instead of --steps")
    what.add_argument("--width", type=int, nargs="+", default=[None], metavar="+")
    what.add_argument("--depth", type=int, metavar="N")
    what.add_argument("--norm", default="batch", metavar="batch|batch-affine|group|layer|none")
    what.add_argument("--norm-eps", type=float, default=1e-5, metavar="X")
    what.add_argument(
        "--head-norm",
        type=_or_none,
        default=10.0,
        metavar="X",
        help='of the head, or "none"',
    )
    what.add_argument("--train-head", action="store_true", help="train the head, too")
    what.add_argument("--resolution", type=int, metavar="R", help="pixels a side")
    what.add_argument("--train-size", type=int, metavar="N", help="images of a fixed random subset")
    what.add_argument("--test-size", type=int, metavar="N")
    what.add_argument("--augment", action="store_true", help="random crop and flip")
    what.add_argument("--dtype", default="float32", metavar="float32|float64")
    what.add_argument("--schedule", default="constant", metavar="constant|cosine|linear|step")
    what.add_argument("--warmup-steps", type=int, default=0, metavar="N")
    what.add_argument("--init-scale", type=float, default=1.0, metavar="X")
    what.add_argument(
        "--fixed-norm", type=_norm, metavar="X", help='hold the weight norm at X, or at its "start"'
    )
    what.add_argument("--start-from", metavar="FILE", help="a checkpoint to take the weights from")
    what.add_argument("--eval-every", type=int, metavar="N", help="steps (default: an epoch)")
    what.add_argument(
        "--train-pass", action="store_true", help="measure epochs by a pass over the training set"
    )
    what.add_argument("--snapshot-every", type=int, metavar="N", help="steps between kept weights")
    how = verb.add_argument_group("how to compute it")
    how.add_argument("--out", required=True, metavar="DIR", help="the run's folder, or the grid's")
    how.add_argument("--device", default="cpu", metavar="cpu|cuda")
    how.add_argument("--threads", type=_count, metavar="T", help="CPU threads a run")
    how.add_argument("--workers", type=_count, metavar="N", help="processes at once")
    how.add_argument(
        "--together",
        type=_count,
        metavar="K",
        help="train up to K runs of a grid as one (default: where it pays off; 1: never)",
    )
    how.add_argument(
        "--precision",
        default="highest",
        metavar="highest|tf32|bf16",
        help="of products in float32 runs (tf32: on CUDA)",
    )
    how.add_argument(
        "--no-graph",
        action="store_false",
        dest="graph",
        help="on CUDA: launch every operation instead of replaying the step as a graph",
    )
    how.add_argument(
        "--record-every", type=_count, default=1, metavar="N", help="steps a table row"
    )
    how.add_argument("--stop-after", type=_seconds, metavar="9m", help="stop, to be gone on with")


def _add_paper(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("figures", nargs="*", type=int, metavar="N", help="1 to 19; none: list them")
    verb.add_argument("--all", action="store_true", help="make all nineteen")
    verb.add_argument("--scale", default="quick", metavar="quick|laptop|paper")
    verb.add_argument("--out", metavar="DIR", help="default: limitcycle-paper/SCALE")
    verb.add_argument("--book", metavar="DIR", help="pictures and pages (default: the runs' DIR)")
    verb.add_argument(
        "--rehearse",
        action="store_true",
        help="only three steps of every run",
    )
    verb.add_argument("--seeds", type=_count, metavar="N", help="default: the figure's own")
    verb.add_argument("--device", default="cpu", metavar="cpu|cuda")
    verb.add_argument("--workers", type=_count, metavar="N", help="runs at once (default: cores)")
    verb.add_argument("--threads", type=_count, metavar="T", help="CPU threads a run")


def _add_report(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "runs", nargs="+", metavar="DIR", help="a run's folder, or one with runs below"
    )
    verb.add_argument(
        "--out", metavar="FILE", help=".html (default: DIR/report.html), .png or .svg"
    )
    verb.add_argument("--axis", default="steps", choices=("steps", "epochs", "periods"))


def _add_diagnose(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="a folder of runs or of TensorBoard, a table (.csv, .parquet, …), W&B's CSV exports",
    )
    for role in ("loss", "norm", "step"):
        verb.add_argument(f"--{role}", metavar="NAME", help=f"what the {role} is called there")
    verb.add_argument("--lr", type=float, help="learning rate, where the table has none")
    verb.add_argument("--weight-decay", type=float, help="weight decay, likewise")
    verb.add_argument("--momentum", type=float, help="heavy-ball momentum, likewise")
    verb.add_argument("--json", action="store_true", help="print the verdict as JSON")


def _number(text: str, what: str, kind: type[int] | type[float] = float) -> float:
    try:
        return kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be {what}, not {text!r}") from None


def _add_probe(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "target",
        metavar="MODULE:FUNCTION",
        help="a function of yours that returns (model, batch) or (model, batch, loss)",
    )
    verb.add_argument(
        "--per-channel", action="store_true", help="ask for output channels, not whole tensors"
    )
    verb.add_argument(
        "--leak", action="store_true", help="also: how the leak grows as the norm shrinks"
    )
    verb.add_argument("--json", action="store_true", help="print the answer as JSON")


def _batch_size(text: str) -> int | None:
    return None if text == "full" else int(_number(text, "a whole number or full", int))


def _count(text: str) -> int:
    count = int(_number(text, "a whole number", int))
    if count < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return count


def _norm(text: str) -> float | str:
    return text if text == "start" else _number(text, "a number or start")


def _or_none(text: str) -> float | None:
    return None if text == "none" else _number(text, "a number or none")


def _seconds(text: str) -> float:
    """Seconds from ``90``, ``90s``, ``9m`` or ``2h``."""
    units = {"s": 1, "m": 60, "h": 3600}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    seconds = _number(number, "a time such as 90s, 9m or 2h") * units[unit]
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError("must be positive")
    return seconds
