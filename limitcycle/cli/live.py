"""``limitcycle live``: runs in the browser while they are trained."""

import argparse
import webbrowser

from limitcycle.checks import usable_path
from limitcycle.cli.voice import say
from limitcycle.errors import UserError
from limitcycle.report.live import serve


def live(options: argparse.Namespace) -> int:
    """Serve the page until the runs have ended; exit code."""
    folder = usable_path(options.folder)
    if not folder.exists():
        raise UserError(f"{folder} is not there: give the folder that a training writes into")
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: give the one that a training writes into")

    def ready(address: str) -> None:
        say(f"Look at it: {address}")
        say("It ends with the runs, or by Ctrl-C; the training does not notice.")
        if options.open:
            webbrowser.open(address)

    serve(folder, port=options.port, ready=ready)
    say(f"The runs have ended: limitcycle report {options.folder} draws them.")
    return 0
