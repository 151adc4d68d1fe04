"""What is answered: the page, and what has changed since."""

from contextlib import suppress
from html import escape
from typing import Any

from limitcycle.extras import from_extra
from limitcycle.report.content import AXIS_NAMES
from limitcycle.report.figure import TIME_LABELS
from limitcycle.report.live.board import Board
from limitcycle.report.live.guard import POLICY, Guard
from limitcycle.report.page import compose

SCRIPTS = ("common.js", "stack.js", "loop.js", "depth.js", "walk.js", "report.js", "live.js")
_LOOP = (
    '<section id="explanation"><h2>Phase diagram</h2><figure id="loop"><figcaption></figcaption>'
    '<div id="loop-plot"></div></figure></section>'
)
_STATE = "/state"


def application(board: Board, port: int, token: str) -> Any:
    """The guarded ASGI application.

    Raises:
        UserError: starlette or plotly is not installed.
    """
    with from_extra("live", "the live page needs starlette"):
        from starlette.applications import Starlette
        from starlette.requests import Request
        from starlette.responses import HTMLResponse, Response
        from starlette.routing import Route

    page = page_of(board, token)

    async def whole(_: Request) -> HTMLResponse:
        return HTMLResponse(page)

    async def state(request: Request) -> Response:
        answer = board.answer(_versions(request.query_params.get("seen", "")))
        return Response(answer, media_type="application/json")

    routes = [Route("/", whole), Route(_STATE, state)]
    return Guard(Starlette(routes=routes), port, token, ("/", _STATE))


def page_of(board: Board, token: str) -> str:
    """The page as it is before it has asked for anything."""
    data = {
        "live": {"token": token, "state": _STATE},
        "axis": "steps",
        "axisNames": AXIS_NAMES,
        "axisLabels": TIME_LABELS,
        "axisMissing": {},
        "focus": 0,
        "panels": [],
        "loop": None,
        "runs": [],
        "clocks": [],
    }
    return compose(
        title=f"Live: {board.folder}",
        scripts=SCRIPTS,
        policy=POLICY.split("; frame-ancestors")[0],  # which only a header may say
        table="",
        below=_LOOP,
        data=data,
        promise=f"The runs in {escape(str(board.folder))} are read; nothing leaves this machine.",
    )


def _versions(text: str) -> list[int]:
    """The versions that a page has seen; whatever is no number counts as none."""
    found = []
    for word in text.split(".")[:1_000]:
        number = 0
        with suppress(ValueError):
            number = int(word)
        found.append(number)
    return found
