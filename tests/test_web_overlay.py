"""The overlay's server: who is refused, what is told, how it ends."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import stat
from collections.abc import Awaitable, Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from normtr.cause import GAPS
from normtr.errors import UserError
from stream.client.received import received
from stream.commands import keys
from stream.overlay.page_state import page_state
from stream.overlay.page_token import TOKEN, kept_token
from stream.overlay.state import OverlayState
from stream.overlay.web import MOST_PAGES
from stream.views.history import SECONDS
from stream.views.labels_and_colours import CAUSE_LOOKS, ink
from tests.support.page_server import SECRET, Feed, PageServer, estimate
from tests.support.ports import free_port

pytestmark = pytest.mark.slow

SESSION = "a" * 16


@pytest.fixture(scope="module")
def address() -> str:
    return free_port()


@pytest.fixture(scope="module")
def server(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    with Feed(address, SESSION):
        one = PageServer(address, tmp_path_factory.mktemp("home"))
        yield one
        status, error = one.end()
    assert (status, error) == (0, "")


def asked(server: PageServer, method: str, path: str, **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    answer = connection.getresponse()
    answer.body = answer.read()  # type: ignore[attr-defined]
    connection.close()
    return answer


UPGRADE = {
    **{"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13"},
    "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def test_the_page_may_load_its_own_files_and_nothing_else(server: PageServer) -> None:
    for name in ("", "overlay.css", "overlay.js"):
        answer = asked(server, "GET", server.path + name)
        assert answer.status == 200
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert f"connect-src 'self' ws://{server.host};" in policy
        assert "unsafe" not in policy
        assert answer.headers["Referrer-Policy"] == "no-referrer"  # it would hold the token
    named = asked(server, "GET", server.path, Host=f"localhost:{server.port}")
    assert named.status == 200


@pytest.mark.parametrize(
    ("status", "method", "path", "headers"),
    [
        (404, "GET", "/", {}),
        (404, "GET", "/favicon.ico", {}),
        (404, "GET", f"/{'A' * 43}/", {}),
        (404, "GET", f"/{'A' * 43}/socket", {**UPGRADE, "Origin": "OWN"}),
        (404, "GET", "/%F0%9F%92%A9/", {}),
        (404, "GET", "TOKEN../overlay.js", {}),
        (404, "GET", "TOKEN%2e%2e%2fstate.py", {}),
        (404, "GET", "TOKENindex.html", {}),
        (403, "GET", "TOKEN", {"Host": "evil.example"}),
        (403, "GET", "TOKEN", {"Host": "127.0.0.1:1"}),
        (403, "GET", "TOKEN", {"Host": "127.0.0.1"}),
        (403, "GET", "TOKEN", {"Origin": "http://evil.example"}),
        (403, "GET", "TOKEN", {"Origin": "null"}),
        (403, "GET", "TOKENsocket", {**UPGRADE, "Origin": "http://evil.example"}),
        (403, "GET", "TOKENsocket", {**UPGRADE, "Origin": "https://127.0.0.1"}),
        (403, "GET", "TOKENsocket", {**UPGRADE, "Host": "evil.example", "Origin": "OWN"}),
        (403, "GET", "TOKENsocket", UPGRADE),
        (400, "GET", "TOKENsocket", {"Origin": "OWN"}),
        (400, "GET", "TOKEN" + "x" * 20_000, {}),
        *((405, method, "TOKEN", {}) for method in ("POST", "HEAD", "OPTIONS", "PUT")),
    ],
)
def test_others_are_refused(
    server: PageServer, status: int, method: str, path: str, headers: dict[str, str]
) -> None:
    given = {k: v.replace("OWN", f"http://{server.host}") for k, v in headers.items()}
    answer = asked(server, method, path.replace("TOKEN", server.path), **given)
    assert answer.status == status
    assert SESSION.encode() not in answer.body  # type: ignore[attr-defined]
    assert asked(server, "GET", server.path).status == 200


Talk = Callable[[aiohttp.ClientWebSocketResponse], Awaitable[Any]]


def talk(server: PageServer, what: Talk) -> Any:
    """What the coroutine makes of a socket of the page's own."""

    async def go() -> Any:
        headers = {"Origin": f"http://{server.host}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.ws_connect(server.url + "socket") as socket,
        ):
            return await what(socket)

    return asyncio.run(asyncio.wait_for(go(), 30))


def test_the_page_hears_a_minute_with_every_cause_and_no_word(server: PageServer) -> None:
    async def until_all(socket: aiohttp.ClientWebSocketResponse) -> list[str]:
        heard = []
        async for frame in socket:
            heard.append(frame.data)
            state = json.loads(frame.data)
            causes = [{run["cause"] for run in gap["runs"]} for gap in state["gaps"]]
            if state["fresh"] and all(set(GAPS) <= told for told in causes):
                return heard
        return []

    heard = talk(server, until_all)
    assert heard
    assert not any(SECRET in text for text in heard)
    assert json.loads(heard[-1])["badge"]["on"]


def test_a_page_that_speaks_is_let_go(server: PageServer) -> None:
    async def speak(socket: aiohttp.ClientWebSocketResponse) -> int | None:
        await socket.send_str("hello")
        async for _ in socket:
            pass
        return socket.close_code

    assert talk(server, speak) == aiohttp.WSCloseCode.POLICY_VIOLATION

    async def shout(socket: aiohttp.ClientWebSocketResponse) -> int | None:
        await socket.send_bytes(b"x" * 1_000_000)
        async for _ in socket:
            pass
        return socket.close_code

    assert talk(server, shout) != aiohttp.WSCloseCode.OK


def test_pages_are_few_and_who_gives_no_sign_of_life_is_let_go(server: PageServer) -> None:
    lines = [f"GET {server.path}socket HTTP/1.1", f"Host: {server.host}"]
    lines += [f"Origin: http://{server.host}"]
    lines += [f"{key.replace('_', '-')}: {value}" for key, value in UPGRADE.items()]
    request = ("\r\n".join(lines) + "\r\n\r\n").encode()

    def knock() -> tuple[socket.socket, bytes]:
        one = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        one.sendall(request)
        return one, one.recv(12)

    opened = [knock() for _ in range(MOST_PAGES)]
    assert {begin for _, begin in opened} == {b"HTTP/1.1 101"}
    late, begin = knock()
    assert begin == b"HTTP/1.1 503"
    late.close()
    for one, _ in opened:  # no ping is answered, so the server ends it; else recv times out
        one.settimeout(20)
        while one.recv(65536):
            pass
        one.close()
    again, begin = knock()
    assert begin == b"HTTP/1.1 101"
    again.close()


def test_the_address_stays_and_endings_are_clean(address: str, tmp_path: Path) -> None:
    first = PageServer(address, tmp_path)

    async def look(socket: aiohttp.ClientWebSocketResponse) -> tuple[int, str]:
        state = json.loads((await socket.receive()).data)
        assert isinstance(state["fresh"], bool)
        return first.end(signal.SIGINT)

    assert talk(first, look) == (130, "")
    second = PageServer(address, tmp_path, first.port)
    assert second.url == first.url
    taken = PageServer(address, tmp_path, first.port)
    assert taken.url == ""
    assert second.end() == (0, "")
    status, error = taken.end()
    assert status == 1
    assert error == f"port {first.port} is in use; end the other overlay or give another port.\n"


def test_a_locked_recognizer_is_heard_with_keys(tmp_path: Path) -> None:
    folder, own, address = tmp_path / "keys", tmp_path / "page.secret", free_port()
    assert keys.run(["--folder", str(folder)]) == 0
    assert keys.run(["--folder", str(folder), "--allow", "page", "--out", str(own)]) == 0
    options = ("--client-key", own, "--server-key", folder / "server.key")

    async def fresh(socket: aiohttp.ClientWebSocketResponse) -> bool:
        async for frame in socket:
            if json.loads(frame.data)["fresh"]:
                return True
        return False

    with Feed(address, SESSION, keys=folder):
        without = PageServer(address, tmp_path)
        with_keys = PageServer(address, tmp_path, 0, *options)
        assert talk(with_keys, fresh)

        async def first(socket: aiohttp.ClientWebSocketResponse) -> Any:
            return json.loads((await socket.receive()).data)["fresh"]

        assert not talk(without, first)
        assert (with_keys.end(), without.end()) == ((0, ""), (0, ""))


@pytest.mark.parametrize(
    ("address", "port", "says"),
    [
        ("nowhere", 0, "'nowhere' is no address; give --address tcp://HOST:PORT"),
        ("tcp://127.0.0.1:1", 70_000, "--port lies between 0 (a free one) and 65535, not at 70000"),
    ],
)
def test_what_cannot_be_served_is_one_sentence(
    address: str, port: int, says: str, tmp_path: Path
) -> None:
    one = PageServer(address, tmp_path, port)
    assert one.url == ""
    status, error = one.end()
    assert status == 1
    assert error.startswith(says)
    assert len(error.splitlines()) == 1


def test_the_token_is_kept_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "page_token"
    token = kept_token(path)
    assert TOKEN.fullmatch(token)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert kept_token(path) == token
    path.chmod(0o644)  # others may have read it
    other = kept_token(path)
    assert other != token
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("")
    assert TOKEN.fullmatch(kept_token(path))
    path.write_bytes(b"\xff" * 43)
    assert TOKEN.fullmatch(kept_token(path))
    assert os.listdir(path.parent) == ["page_token"]
    with pytest.raises(UserError, match="cannot keep the page's address"):
        kept_token(path / "page_token")


shares = st.floats(0, 1) | st.floats()


@given(st.lists(st.tuples(st.integers(0, 600), shares, st.booleans()), min_size=1, max_size=30))
def test_the_state_is_json_and_its_runs_fill_the_minute(
    steps: list[tuple[int, float, bool]],
) -> None:
    state = OverlayState("tcp://127.0.0.1:5577")
    for step, share, abstained in steps:
        keys = {"probabilities": [share] * 7, "confidence": share, "abstained": abstained}
        state.add(received(estimate(step, SESSION, **keys)), step / 4)
    told = page_state(state.shown(steps[-1][0] / 4))
    json.dumps(told, allow_nan=False)
    assert sum(len(run["levels"]) for run in told["emotions"]) == SECONDS
    assert all(0 <= level <= 1 for run in told["emotions"] for level in run["levels"])
    for gap in told["gaps"]:
        assert sum(run["seconds"] for run in gap["runs"]) == SECONDS
        causes = [run["cause"] for run in gap["runs"]]
        assert all(here != after for here, after in pairwise(causes))


def test_before_anything_was_heard_there_is_a_state_too() -> None:
    told = page_state(OverlayState("tcp://127.0.0.1:5577").shown(0.0))
    assert not told["fresh"]
    assert not told["badge"]["on"]
    assert [light["name"] for light in told["lights"]] == ["face", "voice", "words"]
    assert not any(light["on"] for light in told["lights"])


@pytest.mark.parametrize("colour", [shown.colour for shown in CAUSE_LOOKS.values()])
def test_what_is_written_on_a_colour_can_be_read(colour: str) -> None:
    def light(code: str) -> float:
        parts = [int(code[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((light(colour), light(ink(colour))))
    assert (high + 0.05) / (low + 0.05) >= 4.5  # as WCAG asks
