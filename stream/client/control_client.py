"""Sends requests to a recognizer's control port, and measures the offset of its clock."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

import msgpack
import zmq

from normtr.errors import UserError
from stream import wire
from stream.client.connection import Keys, connect

TRIES = 5


def beside(address: str) -> str:
    """Return the control address of a recognizer that publishes at `address`.

    It is the next port, or the path with `.control` behind it.
    """
    path, colon, port = address.rpartition(":")
    return f"{path}{colon}{int(port) + 1}" if port.isdecimal() else f"{address}.control"


CONTROL = beside(wire.ADDRESS)


class Refused(UserError):
    """The recognizer refused a request; the message is its own sentence."""


class Control:
    """A connection to a control port. One thread uses it at a time."""

    def __init__(
        self, address: str = CONTROL, *, timeout_s: float = 2.0, keys: Keys | None = None
    ) -> None:
        """Connect. Raises UserError when the address or a key is not valid."""
        self._address = address
        self._timeout_s = timeout_s
        self._keys = keys
        self._socket = self._open()

    def ask(self, verb: str, **arguments: Any) -> dict[str, Any]:
        """Send a request such as `ask("mark", label="start")` and return the reply.

        Raises Refused with the recognizer's sentence, UserError for a request that is too large or
        an answer from something else, and TimeoutError when there is no answer.
        """
        request = msgpack.packb({"verb": verb, **arguments})
        if (size := len(request)) > wire.LARGEST_REQUEST:
            most = f"{wire.LARGEST_REQUEST:,}"
            raise UserError(f"a request has {most} bytes at most, and this {verb} {size:,}.")
        self._socket.send(request)
        if not self._socket.poll(round(self._timeout_s * 1000)):
            self._socket.close()  # a REQ socket would wait for that reply for ever
            self._socket = self._open()
            raise TimeoutError(f"{self._address} did not answer within {self._timeout_s:g} s.")
        try:
            reply = wire.unpacked(self._socket.recv())
        except wire.WireError:
            reply = {}
        if not isinstance(reply.get("ok"), bool):
            raise UserError(f"what answers at {self._address} is no recognizer.")
        if not reply["ok"]:
            raise Refused(str(reply.get("error", "the request was refused.")))
        return reply

    def clock_offset_ns(self) -> int:
        """Return how far the recognizer's monotonic clock is ahead of this machine's.

        The error is at most half of the shortest round trip. Raises what `ask` raises.
        """
        found = []
        for _ in range(TRIES):
            before = time.monotonic_ns()
            now_ns = self.ask("time").get("now_ns")
            after = time.monotonic_ns()
            if not isinstance(now_ns, int):
                raise UserError(f"what answers at {self._address} tells no time.")
            found.append((after - before, now_ns - (before + after) // 2))
        return min(found)[1]

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Control:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self) -> zmq.Socket[bytes]:
        socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.REQ)
        connect(socket, self._address, self._keys)
        return socket
