"""The door: a folder's runs, served to this machine until they have ended."""

import secrets
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from limitcycle.errors import UserError
from limitcycle.extras import from_extra
from limitcycle.report.live.app import application
from limitcycle.report.live.board import Board

LOOPBACK = "127.0.0.1"
EVERY = 0.5
"""Seconds between two looks into the folder."""


def serve(
    folder: str | Path,
    *,
    port: int = 0,
    ready: Callable[[str], None] = print,
    board: Board | None = None,
    token: str | None = None,
) -> None:
    """Show the runs in ``folder`` while they are made; ends with them.

    It listens at the loopback address alone, and answers to whoever knows the token in the address
    that ``ready`` is told. Runs may begin later; nothing is written into their folders.

    Args:
        folder: of a run of the lab or of a watch, or with runs below; it may be empty still.
        port: to listen at; 0: a free one.
        ready: told the address of the page.
        board: the runs, where somebody holds them already.
        token: in the address; None: a new one.

    Raises:
        UserError: starlette or uvicorn is not installed, the port is taken, the folder cannot be
            looked into, or its runs have all ended.
    """
    with from_extra("live", "the live page needs starlette and uvicorn"):
        import uvicorn
    board = board or Board(Path(folder))
    board.refresh()
    if board.runs and all(run.ended for run in board.runs):
        raise UserError(f"the runs in {folder} have ended: limitcycle report {folder} draws them")
    with _listening(port) as listening:
        at, secret = listening.getsockname()[1], token or secrets.token_urlsafe(24)
        app = application(board, at, secret)
        config = uvicorn.Config(app, log_level="warning", lifespan="off", ws="none",
                                server_header=False, access_log=False, loop="asyncio")  # fmt: skip
        server = uvicorn.Server(config)
        keepers = _kept(board, server)
        ready(f"http://{LOOPBACK}:{at}/?token={secret}")
        try:
            server.run(sockets=[listening])
        finally:
            server.should_exit = True
            for keeper in keepers:
                keeper.join(timeout=5)


def _listening(port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((LOOPBACK, port))
        made.listen(64)  # so that whoever is told the address may ask at once
    except OSError as problem:
        made.close()
        raise UserError(f"port {port} cannot be listened at: {problem.strerror}") from None
    return made


def _kept(board: Board, server: Any) -> list[threading.Thread]:
    """Threads that keep ``board`` up to date while ``server`` runs, and end it with the runs."""
    over = threading.Event()

    def refreshing() -> None:
        while not server.should_exit:
            board.refresh()
            if board.over:
                server.should_exit = True
            over.wait(EVERY)
        over.set()

    def reading() -> None:
        while not over.is_set() and not server.should_exit:
            board.read_again()
            over.wait(2 * EVERY)

    threads = [threading.Thread(target=each, daemon=True) for each in (refreshing, reading)]
    for thread in threads:
        thread.start()
    return threads
