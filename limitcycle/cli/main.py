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
from limitcycle.checks import abridged
from limitcycle.cli.settings import MOST_VALUES, add_axes, add_settings, count_of, number
from limitcycle.cli.streams import print_anything
from limitcycle.errors import RunError, UserError

# Verb → module of `limitcycle.cli`, and the function in it.
_VERBS = {
    "demo": ("demo", "demo"),
    "train": ("train", "train"),
    "map": ("map", "map_plane"),
    "paper": ("paper", "paper"),
    "report": ("show", "report"),
    "diagnose": ("show", "diagnose"),
    "probe": ("probe", "probe"),
}
_LONGEST = 1_000  # letters of a refusal
_DESCRIPTION = "Watch, explain and reproduce the periodic behaviour of training with weight decay."


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"limitcycle: {_one_line(message)} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    print_anything()
    given = sys.argv[1:] if arguments is None else list(arguments)
    _refuse_dashes(given)
    options = parser().parse_args(given)
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
    _add_map(verbs.add_parser("map", help="map what runs do over the plane of two settings"))
    _add_paper(verbs.add_parser("paper", help="reproduce the paper's figures, check its claims"))
    _add_report(verbs.add_parser("report", help="draw runs as an interactive page or as pictures"))
    _add_diagnose(verbs.add_parser("diagnose", help="say in words what a run is doing"))
    _add_probe(verbs.add_parser("probe", help="find which parameters are scale-invariant"))
    return top


def _call(options: argparse.Namespace) -> int:
    module, function = _VERBS[options.verb]
    with _loading():
        if _has_workers(options):  # which import torch while this process does
            modules = ("limitcycle.paper.press",) if options.verb == "paper" else ()
            import_module("limitcycle.forkserver").start(*modules)
        verb = getattr(import_module(f"limitcycle.cli.{module}"), function)
    return int(verb(options))


def _has_workers(options: argparse.Namespace) -> bool:
    """Whether the command will start worker processes on this machine."""
    if options.verb == "train":
        grid = any(isinstance(value, list) and len(value) > 1 for value in vars(options).values())
        return grid and options.on == "local"
    if options.verb == "paper":
        return bool(options.all or options.figures) and options.on == "local"
    return options.verb in ("demo", "map")


@contextlib.contextmanager
def _loading() -> Iterator[None]:
    """While modules load, Ctrl-C ends the process at once: an import may swallow the exception."""
    former = signal.signal(signal.SIGINT, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)


def _leave(number: int, _frame: object) -> None:
    """End this process at once, as the signal does where nobody hears it."""
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def _complain(message: str, code: int) -> int:
    print(f"limitcycle: {_one_line(message)}", file=sys.stderr)  # noqa: T201 - its voice
    return code


def _one_line(message: str) -> str:
    """``message`` in one line, whatever names in it hold, and no longer than a reader reads."""
    plain = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in message)
    return abridged(plain, _LONGEST)


def _refuse_dashes(arguments: Sequence[str]) -> None:
    """Refuse ``--option=--``, of which argparse loses the value, and itself with it."""
    for argument in arguments:
        name, _, value = argument.partition("=")
        if name.startswith("-") and value == "--":
            parser().error(f"argument {name}: expected a value, not --")


def _add_demo(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--out", default="limitcycle-demo", metavar="DIR", help="where the runs go")
    verb.add_argument("--seed", type=count_of, default=0, metavar="N")
    verb.add_argument(
        "--workers", type=_count, metavar="N", help="runs at once (default: the cores)"
    )


def _add_train(verb: argparse.ArgumentParser) -> None:
    """What a run is, then how it is computed. Several values of an option marked + make a grid."""
    what = verb.add_argument_group(
        "what to train (several values, or a range LOW:HIGH:COUNT, where + is shown make a grid)"
    )
    add_settings(what)
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
    _add_cluster(how)


def _add_map(verb: argparse.ArgumentParser) -> None:
    what = verb.add_argument_group(
        "what to map (the two axes take several values, or a range LOW:HIGH:COUNT)"
    )
    what.add_argument("--x", default="lr", metavar="SETTING", help="across (default: lr)")
    what.add_argument(
        "--y", default="weight-decay", metavar="SETTING", help="upwards (default: weight-decay)"
    )
    what.add_argument("--steps", type=_count, metavar="N", help="the most updates (default 4,000)")
    what.add_argument(
        "--units", type=number, metavar="X", help="of 1/(ηλ), after which a cell ends (default 12)"
    )
    what.add_argument(
        "--eval-every", type=_count, metavar="N", help="steps (default: a fiftieth of a cell's)"
    )
    add_axes(what, without=("steps", "epochs", "eval_every"))
    how = verb.add_argument_group("how to compute it")
    how.add_argument("--out", default="limitcycle-map", metavar="DIR", help="the map's folder")
    how.add_argument("--png", metavar="FILE", help=".png or .svg (default: DIR/map.png)")
    how.add_argument("--device", default="cpu", metavar="cpu|cuda")
    how.add_argument("--threads", type=_count, metavar="T", help="CPU threads a run")
    how.add_argument("--workers", type=_count, metavar="N", help="runs at once (default: cores)")
    how.add_argument("--stop-after", type=_seconds, metavar="9m", help="stop, to be gone on with")


def _add_paper(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "figures", nargs="*", type=count_of, metavar="N", help="1 to 19; none: list them"
    )
    verb.add_argument("--all", action="store_true", help="make all nineteen")
    verb.add_argument("--scale", default="quick", metavar="quick|laptop|paper")
    verb.add_argument("--out", metavar="DIR", help="default: limitcycle-paper/SCALE")
    verb.add_argument("--book", metavar="DIR", help="pictures and pages (default: the runs' DIR)")
    verb.add_argument(
        "--rehearse",
        action="store_true",
        help="only three steps of every kind of run",
    )
    verb.add_argument("--seeds", type=_seeds, metavar="N", help="default: the figure's own")
    verb.add_argument("--device", default="cpu", metavar="cpu|cuda")
    verb.add_argument("--workers", type=_count, metavar="N", help="runs at once (default: cores)")
    verb.add_argument("--threads", type=_count, metavar="T", help="CPU threads a run")
    _add_cluster(verb)


def _add_cluster(verb: "argparse._ActionsContainer") -> None:
    verb.add_argument("--on", default="local", choices=("local", "ray"), help="where to run")
    verb.add_argument(
        "--storage",
        metavar="DIR|URI",
        help="with --on ray: where nodes leave checkpoints (a shared folder, s3://…, gs://…)",
    )
    verb.add_argument(
        "--address", metavar="HOST:PORT", help="of the Ray cluster (default: this machine's)"
    )


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
    verb.add_argument("--lr", type=number, help="learning rate, where the table has none")
    verb.add_argument("--weight-decay", type=number, help="weight decay, likewise")
    verb.add_argument("--momentum", type=number, help="heavy-ball momentum, likewise")
    verb.add_argument("--json", action="store_true", help="print the verdict as JSON")


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


def _count(text: str) -> int:
    count = count_of(text)
    if count < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return count


def _seeds(text: str) -> int:
    count = _count(text)
    if count > MOST_VALUES:
        raise argparse.ArgumentTypeError(f"must be at most {MOST_VALUES:,}")
    return count


def _seconds(text: str) -> float:
    """Seconds from ``90``, ``90s``, ``9m`` or ``2h``."""
    units = {"s": 1, "m": 60, "h": 3600}
    amount, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    seconds = number(amount, "a time such as 90s, 9m or 2h") * units[unit]
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError("must be positive")
    return seconds
