"""Serves the overlay as a page, for OBS and for machines without Qt, on this machine only.

The page's address contains a random token, and pages of other hosts are refused, so that no other
page in a browser can read along. The folder `page` contains what is served.
"""

from __future__ import annotations

import asyncio
import errno
import hmac
import json
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib import resources

from aiohttp import WSCloseCode, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from normtr.errors import UserError
from stream.client import Keys, subscribe_async
from stream.client.received import Received
from stream.interrupts import Interrupts
from stream.overlay.page_state import page_state
from stream.overlay.page_token import kept_token, usual_path
from stream.overlay.state import OverlayState
from stream.wire import AFFECT, INFO, NOTIFY

HOST = "127.0.0.1"
MOST_PAGES = 8
"""This many pages may be open at once."""
REFRESH_S = 0.25
"""A page gets the newest state at least this often, even when nothing arrives."""
KEPT_S = 15.0
"""A connection may do nothing for this long between two requests."""
HEARTBEAT_S = 4.0
"""A page that does not answer for this long is gone, with all that waits for it."""
MOST_BYTES = 1024
"""The largest message from a page, in bytes; a page has nothing to say."""
FILES = {
    "": ("index.html", "text/html"),
    "overlay.css": ("overlay.css", "text/css"),
    "overlay.js": ("overlay.js", "text/javascript"),
}

_log = logging.getLogger(__name__)


class _Page:
    """Keeps what is shown now and who looks at it."""

    def __init__(self, address: str, token: str) -> None:
        folder = resources.files("stream.overlay") / "page"
        self._files = {at: folder.joinpath(name).read_bytes() for at, (name, _) in FILES.items()}
        self._token = token
        self._hosts: set[str] = set()
        self._state = OverlayState(address)
        self._looking: set[asyncio.Event] = set()
        self.app = web.Application(middlewares=[self._guard])
        self.app.router.add_get("/{token}/socket", self._socket, allow_head=False)
        self.app.router.add_get("/{token}/{name:.*}", self._file, allow_head=False)

    def served_at(self, port: int) -> str:
        """Return the address to open; requests for it are answered from now on."""
        self._hosts = {f"{HOST}:{port}", f"localhost:{port}"}
        return f"http://{HOST}:{port}/{self._token}/"

    def add(self, message: Received) -> None:
        self._state.add(message, time.monotonic())
        for changed in self._looking:
            changed.set()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let only GET requests through that know the token and use our own name (DNS
        rebinding)."""
        origin = request.headers.get("Origin")
        if request.host not in self._hosts:
            return web.Response(status=403, text="Another host's name.\n")
        if origin is not None and origin != f"http://{request.host}":
            return web.Response(status=403, text="Another page's request.\n")
        if request.method != "GET":
            return web.Response(status=405, text="Only GET.\n", headers={"Allow": "GET"})
        token = request.match_info.get("token", "")
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            return web.Response(status=404, text="Nothing here.\n")
        return await handler(request)

    async def _file(self, request: web.Request) -> web.Response:
        at = request.match_info["name"]
        if at not in FILES:
            return web.Response(status=404, text="Nothing here.\n")
        return web.Response(
            body=self._files[at],
            content_type=FILES[at][1],
            charset="utf-8",
            headers=_protection(request.host),
        )

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if "Origin" not in request.headers:
            return web.Response(status=403, text="Only for the page.\n")
        if len(self._looking) >= MOST_PAGES:
            return web.Response(status=503, text=f"{MOST_PAGES} pages are open already.\n")
        changed = asyncio.Event()
        self._looking.add(changed)
        try:
            socket = web.WebSocketResponse(
                heartbeat=HEARTBEAT_S, max_msg_size=MOST_BYTES, timeout=1.0, compress=False
            )
            await socket.prepare(request)
            sending = asyncio.create_task(self._send(socket, changed))
            try:
                await socket.receive()  # the page has closed it, or sent something it should not
            finally:
                sending.cancel()
            await socket.close(code=WSCloseCode.POLICY_VIOLATION)
            return socket
        finally:
            self._looking.discard(changed)

    async def _send(self, socket: web.WebSocketResponse, changed: asyncio.Event) -> None:
        """Send the newest state again and again; a slow page misses those in between."""
        with suppress(ConnectionResetError):
            while True:
                state = page_state(self._state.shown(time.monotonic()))
                await socket.send_str(json.dumps(state, allow_nan=False))
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), REFRESH_S)
                changed.clear()


def _worth_telling(record: logging.LogRecord) -> bool:
    """Return False for input that is not HTTP: its sender must not be able to fill our log."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_log.addFilter(_worth_telling)


def _protection(host: str) -> Mapping[str, str]:
    """Return headers that let the page load its own files and use its own socket, nothing else."""
    return {
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; "
            f"connect-src 'self' ws://{host}; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }


async def _serve(address: str, port: int, keys: Keys | None) -> None:
    page = _Page(address, kept_token(usual_path()))
    runner = web.AppRunner(
        page.app, access_log=None, logger=_log, keepalive_timeout=KEPT_S, shutdown_timeout=1.0
    )
    wanted = AFFECT, INFO, NOTIFY  # the page needs no words and no pictures
    async with subscribe_async(*wanted, address=address, newest=True, keys=keys) as heard:
        await runner.setup()
        try:
            site = web.TCPSite(runner, HOST, port)
            try:
                await site.start()
            except (OSError, OverflowError) as error:
                raise UserError(_unavailable(port, error)) from None
            print(page.served_at(runner.addresses[0][1]), flush=True)
            async for message in heard:
                page.add(message)
        finally:
            await runner.cleanup()


def _unavailable(port: int, error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"port {port} is in use; end the other overlay or give another port."
    return f"cannot serve on port {port}: {error}."


def serve(address: str, port: int, keys: Keys | None = None) -> int:
    """Serve the page until Ctrl-C and print its address; return the exit status.

    `address` is the recognizer's. With `port` 0 any free port is taken. Raises UserError when the
    port, the address or a key cannot be used.
    """
    interrupts = Interrupts()
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(address, port, keys))
    return interrupts.status
