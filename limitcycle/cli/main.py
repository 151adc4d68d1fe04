"""The command line, and how it ends.

Exit codes: 0; 1 the run itself failed; 2 the user's mistake; 130 interrupted, by Ctrl-C, SIGTERM or
SIGHUP. Nothing heavy is imported before a verb is known, so that help comes at once.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from limitcycle.checks import one_line
from limitcycle.cli.parser import Parser
from limitcycle.cli.signals import GOES_ON, INTERRUPTED, heard_by, leave, like_ctrl_c
from limitcycle.cli.streams import lasting_streams
from limitcycle.cli.typed import as_typed
from limitcycle.cli.verbs import VERBS, parser
from limitcycle.cli.voice import say
from limitcycle.errors import RunError, UserError
from limitcycle.extras import require


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    with lasting_streams() as unwritten:
        try:
            try:
                code = _run(arguments)
            except SystemExit as end:  # after help, or a complaint
                if not unwritten():
                    raise
                code = int(end.code or 0)
            return _checked(code, unwritten())
        except BrokenPipeError:  # the reader of our output has seen enough
            _write_nowhere()
            return 0


def _checked(code: int, unwritten: str) -> int:
    """The exit code of a command, a failure where what it printed did not arrive."""
    if unwritten and not code:
        return _complain(unwritten, 1)
    return code


def _write_nowhere() -> None:
    """Nor is the rest for a reader who has gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _run(arguments: Sequence[str] | None) -> int:
    top = parser()
    _complete(top)
    given = list(sys.argv[1:] if arguments is None else arguments)
    top.refuse_early(given)
    options = top.parse_args(given)
    if options.verb is None:
        top.print_help()
        return 0
    try:
        with like_ctrl_c():
            return _call(options)
    except UserError as problem:
        return _complain(as_typed(str(problem), _spelt(options)), 2)
    except RunError as problem:
        return _complain(as_typed(str(problem), _spelt(options)), 1)
    except KeyboardInterrupt:
        return _complain(GOES_ON, INTERRUPTED)


def _spelt(options: argparse.Namespace) -> list[str]:
    """The options in whose words a refusal speaks; columns of a table have the same names."""
    given = vars(options)
    return [name for name in given if options.verb != "diagnose" or given[name] is not None]


def _complete(top: Parser) -> None:
    """Answer the shell where it asks what could be typed next: then this process ends here."""
    if "_ARGCOMPLETE" in os.environ:
        with contextlib.suppress(ModuleNotFoundError):
            import_module("argcomplete").autocomplete(top)


def _call(options: argparse.Namespace) -> int:
    verb = VERBS[options.verb]
    require(options.verb, *verb.extras)
    with heard_by(leave):  # an import may swallow an exception
        if _has_workers(options):  # which import torch while this process does
            modules = ("limitcycle.paper.parallel",) if options.verb == "paper" else ()
            import_module("limitcycle.forkserver").start(*modules)
        function = getattr(import_module(f"limitcycle.cli.{verb.module}"), verb.function)
    return int(function(options))


def _has_workers(options: argparse.Namespace) -> bool:
    """Whether the command will start worker processes on this machine."""
    if options.verb == "train":
        grid = any(isinstance(value, list) and len(value) > 1 for value in vars(options).values())
        return grid and options.on == "local"
    if options.verb == "paper":
        return bool(options.all or options.figures) and options.on == "local"
    return options.verb in ("demo", "map")


def _complain(message: str, code: int) -> int:
    say(f"limitcycle: {one_line(message)}", aside=True)
    return code
