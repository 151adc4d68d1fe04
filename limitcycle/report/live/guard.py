"""Who may ask: this machine's browser, on our own page, with the token, and for nothing else.

A server on the loopback address can be reached by every page that a browser has open. So the name
by which it was asked must be the loopback's (no DNS rebinding), a request that names an origin must
name ours, and the token, which no other page knows, must be there.
"""

import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": POLICY,
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Guard:
    """Refuses whom we do not know before the application hears of it.

    Args:
        app: what is guarded.
        port: at which it is asked.
        token: without which nothing is answered.
        paths: that there are.
    """

    def __init__(self, app: "ASGIApp", port: int, token: str, paths: Iterable[str]) -> None:
        self._app, self._token, self._paths = app, token, frozenset(paths)
        self._hosts = frozenset({f"127.0.0.1:{port}", f"localhost:{port}"})

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer or refuse one request."""
        if scope["type"] != "http":
            return  # neither a WebSocket nor anything else is spoken here
        status, why = self._refusal(scope)
        if status:
            await _refuse(send, status, why)
            return

        async def marked(message: "Message") -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_encoded()]
            await send(message)

        await self._app(scope, receive, marked)

    def _refusal(self, scope: "Scope") -> tuple[int, str]:
        """The status and the reason of a refusal; 0 where there is none."""
        if scope["method"] not in ("GET", "HEAD"):
            return 405, "only GET is answered here"
        hosts, origins = _all(scope, b"host"), _all(scope, b"origin")
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return 421, "this address is not the one of the page"
        if any(origin not in self._origins() for origin in origins):
            return 403, "a page of another origin may not ask"
        if any(site not in ("same-origin", "none") for site in _all(scope, b"sec-fetch-site")):
            return 403, "a page of another site may not ask"
        if not self._is_known(scope):
            return 403, "the token is missing or wrong: open the address that was printed"
        path = scope["path"]
        if path not in self._paths or scope.get("raw_path", path.encode()) != path.encode():
            return 404, "there is no such page"
        return 0, ""

    def _origins(self) -> set[str]:
        return {f"http://{host}" for host in self._hosts}

    def _is_known(self, scope: "Scope") -> bool:
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        given = [*query.get("token", []), *_all(scope, b"x-limitcycle-token")]
        return any(secrets.compare_digest(each.encode(), self._token.encode()) for each in given)


def _all(scope: "Scope", name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]


def _encoded() -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in _HEADERS.items()]


async def _refuse(send: "Send", status: int, why: str) -> None:
    plain = [(b"content-type", b"text/plain; charset=utf-8")]
    headers = [*plain, *_encoded()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{why}\n".encode()})
