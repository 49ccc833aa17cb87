"""The control port answers requests, one msgpack map each, on a thread of its own.

A request is `{"verb": NAME, ...arguments}`. The answer is `{"ok": true, ...}` or `{"ok": false,
"error": SENTENCE}`. Clients use REQ sockets. Ours is a ROUTER: a REP would wait for ever for a
client that went away, and no client can bring a ROUTER out of step.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgpack
import zmq

from normtr.errors import UserError
from stream import wire
from stream.publish.endpoint import Endpoint
from stream.wire import LARGEST_REQUEST

LARGEST_READ = 10_000_000
"""A frame of up to this many bytes is read and refused with a sentence; a larger one ends the
connection."""
REQUESTS_WAITING = 4
"""This many requests, each as large as that, are kept for one client; more wait on its side. With
keys the client's identity takes one place."""
ANSWERS_WAITING = 100
"""This many answers are kept for one client; all of them are small."""
POLL_MS = 100
BREATH_S = 0.001
"""The pause between two requests, so that a flood of them does not stop the other threads."""

Verb = Callable[..., dict[str, Any]]
"""A function that takes a request's arguments by name and returns the answer beside `ok`.

It raises UserError to refuse, with the sentence of the answer. It must not block.
"""


class ControlServer:
    """Answers requests from `serve` on until it is closed; earlier requests wait."""

    def __init__(self, address: str, keys: Path | None = None) -> None:
        """Bind the socket. Raises UserError like `Endpoint`."""
        self._verbs: Mapping[str, Verb] = {}
        settings = {
            zmq.RCVHWM: REQUESTS_WAITING,
            zmq.SNDHWM: ANSWERS_WAITING,
            zmq.LINGER: POLL_MS,
        }
        self._endpoint = Endpoint(zmq.ROUTER, address, "--control", LARGEST_READ, keys, settings)
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def serve(self, verbs: Mapping[str, Verb]) -> None:
        """Begin to answer on a thread, which owns the socket from now on; call it once."""
        self._verbs = verbs
        self._thread = threading.Thread(target=self._serve, name="control", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End after the answer that is being given."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
        self._endpoint.close()

    def _serve(self) -> None:
        socket = self._endpoint.socket
        while not self._closing.is_set():
            if not socket.poll(POLL_MS):
                continue
            client, *frames = socket.recv_multipart()
            cut = frames.index(b"") + 1 if b"" in frames else 0
            envelope, body = frames[:cut] or [b""], frames[cut:]
            if sum(map(len, envelope)) > LARGEST_REQUEST:
                continue  # an honest envelope has a few bytes, and each answer repeats it
            # An answer to a client that is gone, or takes none, is thrown away.
            socket.send_multipart([client, *envelope, self._answer(body)], zmq.DONTWAIT)
            self._closing.wait(BREATH_S)

    def _answer(self, body: list[bytes]) -> bytes:
        answer: bytes
        try:
            request = _decoded(body)
            name = request.pop("verb", None)
            verb = self._verbs.get(name) if isinstance(name, str) else None
            if verb is None:
                raise UserError(f"give one of the verbs {', '.join(self._verbs)}.")
            _check(name, verb, request)
            answer = msgpack.packb({"ok": True, **verb(**request)})
        except UserError as error:
            answer = msgpack.packb({"ok": False, "error": str(error)})
        except Exception as error:  # a fault of ours must not end the port
            answer = msgpack.packb({"ok": False, "error": f"failed: {type(error).__name__}."})
        return answer


def _decoded(body: list[bytes]) -> dict[str, Any]:
    if len(body) != 1:
        raise UserError("a request is one frame.")
    if (size := len(body[0])) > LARGEST_REQUEST:
        raise UserError(f"a request has {LARGEST_REQUEST:,} bytes at most, and this one {size:,}.")
    try:
        return wire.unpacked(body[0])
    except wire.WireError:
        raise UserError("a request is a msgpack map with string keys.") from None


def _check(name: str, verb: Verb, arguments: Mapping[str, Any]) -> None:
    """Raise UserError unless the arguments are strings and exactly those that the verb takes."""
    wanted = inspect.signature(verb).parameters
    if set(arguments) != set(wanted) or not all(isinstance(v, str) for v in arguments.values()):
        takes = ", ".join(f"{key} (a string)" for key in wanted) or "no arguments"
        raise UserError(f"{name} takes {takes}.")
