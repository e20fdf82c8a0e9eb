from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

import httpx
import pytest

from sketch2video.studio import security
from sketch2video.studio.security import LocalOnly
from tests.studio.serving import Served

Headers = dict[str, str]


def status_of(middleware: LocalOnly, headers: Headers, method: str = "GET", path: str = "/api/models") -> int:
    """The status of one request, without a server."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": pairs, "scheme": "http"}
    asyncio.run(middleware(scope, receive, send))
    return int(sent[0]["status"])


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8420", "localhost:8420", "LOCALHOST:8420", "[::1]:8420", "localhost", "127.0.0.1:9999"]
)
def test_names_of_this_machine_are_served(host: str) -> None:
    assert status_of(LocalOnly(hello), {"host": host}) == 200


@pytest.mark.parametrize(
    "host",
    [
        *(
            "evil.example:8420",
            "127.0.0.1.evil.example",
            "localhost.evil.example:80",
            "10.0.0.1:8420",
            "",
            "[::1].evil:1",
        ),
        *("localhost:80:90", "localhost:port", "localhost:99999", "user@localhost"),
    ],
)
def test_a_rebound_name_is_refused(host: str) -> None:
    assert status_of(LocalOnly(hello), {"host": host}) == 403
    assert status_of(LocalOnly(hello), {}) == 403


def test_a_server_for_all_addresses_is_reached_by_address_and_by_its_own_name_only() -> None:
    everywhere = LocalOnly(hello, "0.0.0.0", ("Workstation",))
    for host in ("192.168.1.5:8420", "[fe80::1]:8420", "workstation:8420", "localhost:1"):
        assert status_of(everywhere, {"host": host}) == 200
    assert status_of(everywhere, {"host": "evil.example:8420"}) == 403
    assert status_of(LocalOnly(hello, "192.168.1.5"), {"host": "192.168.1.5:8420"}) == 200


OURS = "127.0.0.1:8420"


@pytest.mark.parametrize(
    "more",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:3000"},
        {"origin": "https://127.0.0.1:8420"},
        {"origin": "http://localhost:8420"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_requests_of_other_pages_are_refused(more: Headers, method: str) -> None:
    assert status_of(LocalOnly(hello), {"host": OURS} | more, method) == 403
    assert status_of(LocalOnly(hello), {"host": OURS} | more, method, "/") == 403


@pytest.mark.parametrize(
    "more",
    [{}, {"origin": f"http://{OURS}", "sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}],
)
def test_the_page_itself_and_scripts_are_served(more: Headers) -> None:
    assert status_of(LocalOnly(hello), {"host": OURS} | more, "POST") == 200


def test_a_link_to_the_page_can_be_followed_but_not_one_to_the_api() -> None:
    link = {"host": OURS, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert status_of(LocalOnly(hello), link, "GET", "/") == 200
    assert status_of(LocalOnly(hello), link, "GET", "/api/gallery") == 403
    assert status_of(LocalOnly(hello), link, "POST", "/") == 403


def test_web_sockets_are_closed() -> None:
    sent: list[Any] = []

    async def run() -> None:
        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> dict[str, Any]:
            return {"type": "websocket.connect"}

        await LocalOnly(hello)({"type": "websocket", "path": "/", "headers": []}, receive, send)

    asyncio.run(run())
    assert [message["type"] for message in sent] == ["websocket.close"]


def test_rebinding_and_cross_site_posts_do_not_reach_the_server(studio: Served) -> None:
    asked = {"model": "sketch", "caption": "x"}
    assert studio.client.post("/api/draw", json=asked).status_code == 200
    for headers in ({"host": "evil.example"}, {"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}):
        response = studio.client.post("/api/draw", json=asked, headers=headers)
        assert response.status_code == 403
        assert set(response.json()) == {"detail"}
    # A form of another page needs no permission of a browser for this type.
    plain = studio.client.post(
        "/api/draw", content=b'{"model":"sketch","caption":"x"}', headers={"content-type": "text/plain"}
    )
    assert plain.status_code == 422


@pytest.mark.parametrize("path", ["/api/models", "/api/nothing", "/api/openapi.json"])
def test_every_response_has_the_headers(studio: Served, path: str) -> None:
    headers = studio.client.get(path).headers
    assert all(headers[name] == value for name, value in security.HEADERS.items())
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "access-control-allow-origin" not in headers


def test_a_body_that_states_too_much_is_refused_before_it_is_sent(studio: Served) -> None:
    host, port = studio.client.base_url.host, studio.client.base_url.port
    assert port is not None
    with socket.create_connection((host, port), timeout=10) as connection:
        head = f"POST /api/paint HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: {security.MOST_BYTES + 1}\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    ("path", "most"), [("/api/paint", security.MOST_BYTES), (security.UPLOADS, security.MOST_UPLOAD_BYTES)]
)
@pytest.mark.parametrize("answers", [False, True])
def test_a_body_in_chunks_is_counted(path: str, most: int, answers: bool) -> None:
    """Also if the application takes the interruption for a body that cannot be read."""
    chunk, read, sent = bytes(2**20), 0, list[Any]()

    async def reading(scope: Any, receive: Any, send: Any) -> None:
        nonlocal read
        try:
            while (message := await receive())["more_body"]:
                read += len(message["body"])
        except Exception:
            if not answers:
                raise
            await send({"type": "http.response.start", "status": 400, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": chunk, "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"transfer-encoding", b"chunked")]
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "scheme": "http"}
    asyncio.run(LocalOnly(reading)(scope, receive, send))
    assert [message.get("status") for message in sent] == [413, None]
    assert read == most


def test_the_server_survives_an_endless_body(studio: Served) -> None:
    endless = (b" " * 2**20 for _ in range(4 * security.MOST_BYTES // 2**20))
    with contextlib.suppress(httpx.TransportError):  # the connection is closed while more is sent
        response = studio.client.post("/api/paint", content=endless, headers={"content-type": "application/json"})
        assert response.status_code == 413
    assert studio.client.get("/api/models").status_code == 200


@pytest.mark.parametrize("name", ["..", "..%2f..%2fetc%2fpasswd", "%2e%2e", "a" * 300, "%00", "x/../../manifest.jsonl"])
def test_ids_are_no_paths(studio: Served, name: str) -> None:
    for path in (f"/api/gallery/{name}", f"/api/gallery/{name}/mp4", f"/api/video/{name}.mp4", f"/api/frames/{name}"):
        response = studio.client.get(path)
        assert response.status_code in (404, 405, 422), path
    assert studio.client.delete(f"/api/gallery/{name}").status_code in (404, 405, 422)
    asked = {"model": f"../{name}", "caption": "x", "client": "a"}
    assert studio.client.post("/api/paint", json=asked).status_code == 422
