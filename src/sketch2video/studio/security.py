"""Protection of a server on this machine against web pages of others: an ASGI middleware.

- A page of another origin can make a browser send requests here (cross-site request forgery). Browsers then send
  ``Origin`` or ``Sec-Fetch-Site``, which must be of this page.
- A page can let its own name point to 127.0.0.1 (DNS rebinding): its requests are then of its own origin, but their
  ``Host`` is its name, not one of this machine's.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]"})

MOST_BYTES = 12 * 2**20
"""Largest body of a request; uploads have a limit of their own."""
MOST_UPLOAD_BYTES = 64 * 2**20
UPLOADS = "/api/fit/file"

_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob: data:; object-src 'none';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
"""Headers of every response."""


class _TooLarge(Exception):
    """The body is larger than the limit."""


class LocalOnly:
    """Refuse requests of other origins, of other names of this machine, and with large bodies.

    Any port is accepted in ``Host``: a forwarded port (``ssh -L``, a container) has another number, and rebinding is
    recognised by the name alone. ``Origin`` must be equal to ``Host``, with its port.

    Args:
        app: the application.
        host: address that the server is bound to. If it is an unspecified address (``0.0.0.0``, ``::``), ``Host`` may
            be any literal IP address: a name that points here cannot be one.
        names: further names in ``Host``, such as this machine's.
    """

    def __init__(self, app: App, host: str = "127.0.0.1", names: tuple[str, ...] = ()) -> None:
        self._app = app
        self._names = LOCAL | {_bracketed(host), *(name.lower() for name in names)}
        self._any_address = host in ("", "0.0.0.0", "::")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # there are no web sockets
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = [(name.lower(), value) for name, value in scope["headers"]]
        started = over = False

        async def sending(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                own = {name for name, _ in message.get("headers", [])}
                more = [(n.encode(), v.encode()) for n, v in HEADERS.items() if n.encode() not in own]
                message = {**message, "headers": [*message.get("headers", []), *more]}
            await send(message)

        refusal = self._refusal(scope, headers)
        limit = MOST_UPLOAD_BYTES if scope["path"] == UPLOADS else MOST_BYTES
        if refusal is None and _stated_length(headers) > limit:
            refusal = 413, _too_large(limit)
        if refusal is not None:
            await _respond(sending, *refusal)
            return
        left = limit

        async def receiving() -> Message:
            nonlocal left, over
            message = await receive()
            if message["type"] == "http.request":
                left -= len(message.get("body", b""))
                if left < 0:
                    over = True
                    raise _TooLarge
            return message

        async def answering(message: Message) -> None:
            if not over:  # the application may answer that the body cannot be read
                await sending(message)

        with contextlib.suppress(_TooLarge):
            await self._app(scope, receiving, answering)
        if over and not started:
            await _respond(sending, 413, _too_large(limit))

    def _refusal(self, scope: Scope, headers: list[tuple[bytes, bytes]]) -> tuple[int, str] | None:
        """Status and reason if a request must not be served."""
        hosts = _values(headers, b"host")
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            return 403, "this server answers only to its own address; open the one that it printed"
        origins = _values(headers, b"origin")
        if origins and origins != [f"{scope.get('scheme', 'http')}://{hosts[0].lower()}"]:
            return 403, "requests of other pages are refused"
        sites = _values(headers, b"sec-fetch-site")
        if sites and any(site not in ("same-origin", "none") for site in sites) and not _opens_page(scope, headers):
            return 403, "requests of other pages are refused"
        return None

    def _is_ours(self, host: str) -> bool:
        name, port = _split(host.lower())
        if port and not (port.isascii() and port.isdigit() and int(port) < 2**16):
            return False
        return name in self._names or (self._any_address and _is_address(name))


def _opens_page(scope: Scope, headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether somebody follows a link to the page itself, which has no effect."""
    navigates = _values(headers, b"sec-fetch-mode") == ["navigate"] and _values(headers, b"sec-fetch-dest") == [
        "document"
    ]
    return navigates and scope["method"] in ("GET", "HEAD") and scope["path"] == "/"


def _values(headers: list[tuple[bytes, bytes]], wanted: bytes) -> list[str]:
    return [value.decode("latin-1").strip() for name, value in headers if name == wanted]


def _split(host: str) -> tuple[str, str]:
    """Name and port of ``Host``; an IPv6 address keeps its brackets."""
    if host.startswith("["):
        name, bracket, rest = host.partition("]")
        return name + bracket, rest.removeprefix(":") if not rest or rest.startswith(":") else "wrong"
    name, _, port = host.partition(":")
    return name, port


def _bracketed(host: str) -> str:
    return f"[{host}]".lower() if ":" in host else host.lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def _stated_length(headers: list[tuple[bytes, bytes]]) -> int:
    stated = _values(headers, b"content-length")
    return max((int(value) for value in stated if value.isascii() and value.isdigit() and len(value) < 20), default=0)


def _too_large(limit: int) -> str:
    return f"the request is larger than {limit // 2**20} MiB; send less"


async def _respond(send: Send, status: int, detail: str) -> None:
    body = json.dumps({"detail": detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    # What is left of the request's body is not read.
    headers += [(b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
