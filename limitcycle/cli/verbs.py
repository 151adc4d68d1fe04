"""The verbs and their options. Nothing heavy is imported, so that help comes at once."""

import argparse
from collections.abc import Callable, Mapping
from typing import NamedTuple

from limitcycle._version import __version__
from limitcycle.cli.parser import Parser
from limitcycle.cli.settings import add_axes, add_settings
from limitcycle.cli.values import completing, count, one_of, real, seconds, seeds, whole

_DESCRIPTION = """\
Watch, explain and reproduce the periodic behaviour of training
with normalisation and weight decay.

see it in a minute:       limitcycle demo
train a run and show it:  limitcycle train --out runs/first; limitcycle report runs/first
judge a log of your own:  limitcycle diagnose log.csv
"""
_AXES = ("steps", "epochs", "periods")
_DEVICES = ("cpu", "cuda")
_SCALES = ("quick", "laptop", "workstation", "paper")
_GRIDS = (
    "Where [X ...] is shown, several values, or a range LOW:HIGH:COUNT, make a grid of runs. The "
    "same command goes on where it was stopped."
)
_MAPS = (
    "Two settings span the plane: several values, or a range LOW:HIGH:COUNT, for each. The same "
    "command goes on where it was stopped."
)


class Verb(NamedTuple):
    """A verb of the command line.

    Attributes:
        module, function: of `limitcycle.cli`, that carry it out.
        help: what it does, in a line.
        usage: what must be given.
        add: adds its options to a parser.
        extras: without which it can do nothing.
    """

    module: str
    function: str
    help: str
    usage: str
    add: Callable[[Parser], None]
    extras: tuple[str, ...] = ()


def parser() -> Parser:
    """The parser of the whole command line."""
    top = Parser(
        prog="limitcycle",
        usage="limitcycle VERB …",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"limitcycle {__version__}")
    below = top.add_subparsers(
        dest="verb",
        metavar="VERB",
        prog="limitcycle",
        title="verbs (limitcycle VERB --help says more)",
    )
    for name, verb in VERBS.items():
        usage = f"limitcycle {name} {verb.usage}[options]"
        made = below.add_parser(name, help=verb.help, usage=usage, description=_sentence(verb.help))
        verb.add(made)
        top.verbs[name] = made
    return top


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def _add_demo(verb: Parser) -> None:
    verb.add_argument(
        "--out",
        default="limitcycle-demo",
        metavar="DIR",
        help="where the runs go (default: %(default)s)",
    )
    verb.add_argument(
        "--seed", type=whole, default=0, metavar="N", help="of all five runs (default: 0)"
    )
    _add_workers(verb)


def _add_train(verb: Parser) -> None:
    """What a run is, then how it is computed."""
    verb.epilog = _GRIDS
    verb.add_argument("--out", required=True, metavar="DIR", help="the run's folder, or the grid's")
    add_settings(verb)
    how = verb.add_argument_group("how to compute it")
    _add_machine(how, "what suits its net")
    _add_no_compile(how)
    how.add_argument(
        "--together",
        type=count,
        metavar="K",
        help="train up to K runs of a grid as one (default: where it pays off; 1: never)",
    )
    action = how.add_argument(
        "--precision",
        default="highest",
        metavar="WORD",
        help="of products in float32 runs: highest, tf32 (on CUDA), bf16 (default: highest)",
    )
    completing(action, ("highest", "tf32", "bf16"))
    how.add_argument(
        "--no-graph",
        action="store_false",
        dest="graph",
        help="on CUDA: launch every operation (default: replay the step as a graph)",
    )
    how.add_argument(
        "--record-every", type=count, default=1, metavar="N", help="steps a row (default: 1)"
    )
    _add_stop_after(how)
    _add_cluster(verb)


def _add_map(verb: Parser) -> None:
    verb.epilog = _MAPS
    plane = verb.add_argument_group("the plane")
    plane.add_argument("--x", default="lr", metavar="SETTING", help="across (default: lr)")
    plane.add_argument(
        "--y", default="weight-decay", metavar="SETTING", help="upwards (default: weight-decay)"
    )
    plane.add_argument(
        "--units", type=real, metavar="X", help="a cell ends after X units of 1/(ηλ) (default: 12)"
    )
    plane.add_argument(
        "--steps", type=count, metavar="N", help="... but never after more updates (default: 4,000)"
    )
    plane.add_argument(
        "--eval-every",
        type=count,
        metavar="N",
        help="steps between test errors (default: a fiftieth of a cell's)",
    )
    plane.add_argument(
        "--out",
        default="limitcycle-map",
        metavar="DIR",
        help="the map's folder (default: %(default)s)",
    )
    plane.add_argument("--png", metavar="FILE", help=".png or .svg (default: DIR/map.png)")
    add_axes(verb, without=("steps", "epochs", "eval_every"))
    how = verb.add_argument_group("how to compute it")
    _add_machine(how, "what suits its net")
    _add_no_compile(how)
    _add_stop_after(how)


def _add_paper(verb: Parser) -> None:
    verb.add_argument(
        "figures", nargs="*", type=whole, metavar="N", help="figures, 1 to 19; none: list them"
    )
    verb.add_argument("--all", action="store_true", help="make all nineteen")
    action = verb.add_argument(
        "--scale",
        default="quick",
        metavar="WORD",
        help="how large: quick (minutes), laptop (hours), workstation (nights), paper (days on "
        "a GPU) (default: quick)",
    )
    completing(action, _SCALES)
    verb.add_argument(
        "--out", metavar="DIR", help="where the runs go (default: limitcycle-paper/SCALE)"
    )
    verb.add_argument(
        "--results", metavar="DIR", help="where pictures and pages go (default: where the runs go)"
    )
    verb.add_argument(
        "--rehearse", action="store_true", help="only three steps of every kind of run"
    )
    verb.add_argument(
        "--seeds", type=seeds, metavar="N", help="runs a point (default: the figure's own)"
    )
    verb.add_argument(
        "--first-seed", type=whole, metavar="N", default=0, help="of those runs (default: 0)"
    )
    how = verb.add_argument_group("how to compute it")
    _add_machine(how, "1")
    _add_no_compile(how)
    _add_stop_after(how)
    _add_cluster(verb)


def _add_report(verb: Parser) -> None:
    verb.add_argument(
        "runs", nargs="+", metavar="DIR", help="a run's folder, or one with runs below"
    )
    verb.add_argument(
        "--out", metavar="FILE", help=".html, .png or .svg (default: DIR/report.html)"
    )
    action = verb.add_argument(
        "--axis",
        type=one_of(*_AXES),
        default="steps",
        metavar="WORD",
        help="time in steps, epochs, or periods of 1/(ηλ) steps (default: steps)",
    )
    completing(action, _AXES)


def _add_diagnose(verb: Parser) -> None:
    verb.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="a folder of runs (TensorBoard, MLflow, too), a table (.csv, .parquet, …), a log "
        "(.jsonl, .json, .log), W&B's exports",
    )
    names = verb.add_argument_group("what things are called in a table")
    for role in ("loss", "norm", "step"):
        names.add_argument(
            f"--{role}", metavar="NAME", help=f"the column of the {role} (default: {role})"
        )
    known = verb.add_argument_group("what the table does not say")
    for flag, what in (
        ("lr", "learning rate η"),
        ("weight-decay", "weight decay λ"),
        ("momentum", "heavy-ball momentum"),
    ):
        known.add_argument(
            f"--{flag}",
            type=real,
            metavar="X",
            help=f"{what} (default: the table's column, if any)",
        )
    known.add_argument(
        "--stuck-above",
        type=real,
        metavar="X",
        help="a run whose loss never comes below it is stuck (default: judged by the first rows)",
    )
    verb.add_argument("--json", action="store_true", help="print the verdict as JSON")


def _add_probe(verb: Parser) -> None:
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


def _add_machine(to: "argparse._ActionsContainer", threads: str) -> None:
    """On what a run is computed, and how many are at once; ``threads``: their number by default."""
    action = to.add_argument(
        "--device", default="cpu", metavar="WORD", help="cpu or cuda (default: cpu)"
    )
    completing(action, _DEVICES)
    to.add_argument(
        "--threads", type=count, metavar="T", help=f"CPU threads a run (default: {threads})"
    )
    _add_workers(to)


def _add_workers(to: "argparse._ActionsContainer") -> None:
    to.add_argument("--workers", type=count, metavar="N", help="runs at once (default: one a core)")


def _add_no_compile(to: "argparse._ActionsContainer") -> None:
    to.add_argument(
        "--no-compile",
        action="store_false",
        dest="compile",
        default=None,
        help="on a CPU: launch every operation (default: small nets that make 20,000 updates and "
        "more are compiled)",
    )


def _add_stop_after(to: "argparse._ActionsContainer") -> None:
    to.add_argument(
        "--stop-after",
        type=seconds,
        metavar="TIME",
        help="90s, 9m, 2h: stop then, with checkpoints (default: at the end)",
    )


def _add_cluster(verb: Parser) -> None:
    cluster = verb.add_argument_group("on a Ray cluster")
    places = ("local", "ray")
    action = cluster.add_argument(
        "--on",
        default="local",
        type=one_of(*places),
        metavar="WORD",
        help="where to run: local, ray (default: local)",
    )
    completing(action, places)
    cluster.add_argument(
        "--storage",
        metavar="DIR|URI",
        help="with --on ray: where nodes leave checkpoints (a shared folder, s3://…, gs://…)",
    )
    cluster.add_argument(
        "--address", metavar="HOST:PORT", help="of the cluster (default: this machine's)"
    )


VERBS: Mapping[str, Verb] = {
    "demo": Verb(
        "demo", "demo", "see the periodic behaviour of real runs in a minute", "", _add_demo,
        ("lab", "report"),
    ),
    "train": Verb(
        "train", "train", "train one run, or a grid of runs", "--out DIR ", _add_train, ("lab",)
    ),
    "report": Verb(
        "show", "report", "draw runs as an interactive page or as pictures", "DIR … ",
        _add_report, ("report",),
    ),
    "diagnose": Verb(
        "show", "diagnose", "say in words what a run is doing", "PATH … ", _add_diagnose
    ),
    "probe": Verb(
        "probe", "probe", "find which parameters of a model are scale-invariant",
        "MODULE:FUNCTION ", _add_probe,
    ),
    "map": Verb(
        "map", "map_plane", "map what runs do over the plane of two settings", "", _add_map,
        ("lab", "report"),
    ),
    "paper": Verb(
        "paper", "paper", "reproduce the paper's figures, check its claims", "[N …] ",
        _add_paper, ("lab", "report"),
    ),
}  # fmt: skip
