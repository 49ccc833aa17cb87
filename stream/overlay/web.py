"""The overlay as a page, for OBS and for machines without Qt: a server for this machine only.

The page's address holds a random token, and other hosts' pages are refused, so that no other
page of a browser can read along. What it serves is in the folder `page`.
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
"""So many pages may be open at once."""
REFRESH_S = 0.25
"""So often a page hears what is shown, also where nothing arrives."""
KEPT_S = 15.0
"""So long a connection may do nothing between two requests."""
HEARTBEAT_S = 4.0
"""A page that does not answer for so long is gone; what waits for it goes with it."""
MOST_BYTES = 1024
"""Of a message from a page. It has nothing to say."""
FILES = {
    "": ("index.html", "text/html"),
    "overlay.css": ("overlay.css", "text/css"),
    "overlay.js": ("overlay.js", "text/javascript"),
}

_log = logging.getLogger(__name__)


class _Page:
    """What is shown now, and who looks at it."""

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
        """The address to open; from now on requests for it are answered."""
        self._hosts = {f"{HOST}:{port}", f"localhost:{port}"}
        return f"http://{HOST}:{port}/{self._token}/"

    def add(self, message: Received) -> None:
        self._state.add(message, time.monotonic())
        for changed in self._looking:
            changed.set()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Only who knows the token, under our own name (DNS rebinding), and only GET."""
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
                await socket.receive()  # the end, or a word too many
            finally:
                sending.cancel()
            await socket.close(code=WSCloseCode.POLICY_VIOLATION)
            return socket
        finally:
            self._looking.discard(changed)

    async def _send(self, socket: web.WebSocketResponse, changed: asyncio.Event) -> None:
        """The newest state, again and again; a slow page misses what was between."""
        with suppress(ConnectionResetError):
            while True:
                state = page_state(self._state.shown(time.monotonic()))
                await socket.send_str(json.dumps(state, allow_nan=False))
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), REFRESH_S)
                changed.clear()


def _worth_telling(record: logging.LogRecord) -> bool:
    """What is no HTTP is answered with 400; whoever sends it shall not fill our log."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_log.addFilter(_worth_telling)


def _protection(host: str) -> Mapping[str, str]:
    """Headers that let the page load its own files and speak to its own socket, nothing else."""
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
    wanted = AFFECT, INFO, NOTIFY  # words and pictures are none of the page's business
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
    """Serve the page until Ctrl-C, and print where; gives the exit status.

    `address`: the recognizer's; `port` 0: any that is free. Raises UserError when the port,
    the address or a key cannot be used.
    """
    interrupts = Interrupts()
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(address, port, keys))
    return interrupts.status
