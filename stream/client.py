"""Subscribe to a running recognizer from your own program.

    from stream.client import subscribe

    for message in subscribe("er.v1.affect"):
        print(message.top, message.confidence)

It imports neither torch nor OpenCV nor sound, waits for a recognizer that is not there yet, and
finds one again that was started anew.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import Any

import zmq

from normtr.errors import UserError
from stream.connection import HIGH_WATER, Keys, connect
from stream.control_client import CONTROL, Control, Refused
from stream.received import (
    Affect,
    Face,
    Frame,
    Health,
    Info,
    Notify,
    Received,
    Text,
    received,
)
from stream.wire import ADDRESS, PREFIX, Message, WireError, decode

__all__ = [
    "ADDRESS",
    "CONTROL",
    "Affect",
    "AsyncSubscription",
    "Control",
    "Face",
    "Frame",
    "Health",
    "Info",
    "Keys",
    "Notify",
    "Received",
    "Refused",
    "Subscription",
    "Text",
    "subscribe",
    "subscribe_async",
]

_log = logging.getLogger(__name__)


class _Inbox:
    """Frames in, messages out: what waits, what was lost."""

    def __init__(
        self,
        *topics: str,
        address: str = ADDRESS,
        newest: bool = False,
        timeout_s: float | None = None,
        control: str | None = None,
        keys: Keys | None = None,
    ) -> None:
        """Subscribe to every topic that begins like one of `topics`; to all without any.

        `newest`: of what has come meanwhile only the latest of each topic (and source) is given.
        `timeout_s`: iterating raises TimeoutError when nothing arrives for so long, and may go on.
        `control`: times are given on this machine's monotonic clock; the offset is asked for at this
        address at the first message of a session. Raises UserError when the address, a topic or a key
        is none.
        """
        self.session: str | None = None
        """The session that was heard last."""
        self.restarts = 0
        """How often another session took its place."""
        self.lost = 0
        """Messages of the sessions heard that did not arrive, told by the numbers missing."""
        self.refused = 0
        """Messages that were none of this wire version; each is logged and left out."""
        self._address, self._newest, self._timeout_s = address, newest, timeout_s
        self._control, self._keys = control, keys
        self._ready: deque[Received] = deque()
        self._due: dict[str, tuple[str, int]] = {}
        self._offset: tuple[str, int] | None = None
        for topic in topics:
            if not (topic.startswith(PREFIX) or PREFIX.startswith(topic)):
                raise UserError(f"no topic begins with {topic!r}; they begin with {PREFIX!r}.")
        socket = self._open()
        connect(socket, address, keys)
        for topic in topics or (PREFIX,):
            socket.subscribe(topic)

    def _open(self) -> zmq.Socket[Any]:
        raise NotImplementedError

    def _take(self, frames: list[bytes]) -> None:
        try:
            message = received(decode(frames))
        except WireError as error:
            self.refused += 1
            _log.warning("left out a message: %s", error)
            return
        if message.session != self.session:
            self.restarts += self.session is not None
            self.session = message.session
        session, due = self._due.get(message.topic, ("", 0))
        if session == message.session:
            self.lost += max(message.seq - due, 0)
        self._due[message.topic] = message.session, message.seq + 1
        if self._newest:
            about = message.topic, message.source
            self._ready = deque(m for m in self._ready if (m.topic, m.source) != about)
        self._ready.append(message)

    def _offset_unknown(self) -> bool:
        """Of the next message, where one is wanted. A recording has no clock that runs."""
        message = self._ready[0]
        known = self._offset is not None and self._offset[0] == message.session
        return self._control is not None and not known and not message.replay

    def _ask_offset(self) -> tuple[str, int]:
        with Control(self._control or CONTROL, keys=self._keys) as control:
            return self._ready[0].session, control.clock_offset_ns()

    def _next_message(self) -> Received:
        message = self._ready.popleft()
        if self._offset is None or message.replay:
            return message
        return received(Message(message.topic, dict(message.payload)), self._offset[1])

    def _nothing(self, timeout_s: float | None) -> TimeoutError:
        return TimeoutError(f"nothing arrived from {self._address} within {timeout_s:g} s.")


class Subscription(_Inbox):
    """Iterates over what arrives. Used by one thread."""

    def receive(self, timeout_s: float | None = None) -> Received:
        """The next message; None waits for ever. Raises TimeoutError when nothing arrives."""
        while not self._ready:
            if not self._socket.poll(_milliseconds(timeout_s)):
                raise self._nothing(timeout_s)
            self._take(self._socket.recv_multipart())
            for _ in range(HIGH_WATER if self._newest else 0):
                if not self._socket.poll(0):
                    break
                self._take(self._socket.recv_multipart())
        if self._offset_unknown():
            self._offset = self._ask_offset()
        return self._next_message()

    def close(self) -> None:
        self._socket.close()

    def __iter__(self) -> Subscription:
        return self

    def __next__(self) -> Received:
        return self.receive(self._timeout_s)

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> zmq.Socket[Any]:
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
        return self._socket


class AsyncSubscription(_Inbox):
    """The same for asyncio. Used by one task."""

    async def receive(self, timeout_s: float | None = None) -> Received:
        """The next message; None waits for ever. Raises TimeoutError when nothing arrives."""
        import asyncio  # a third of the start; who awaits this has it

        while not self._ready:
            if not await self._socket.poll(_milliseconds(timeout_s)):
                raise self._nothing(timeout_s)
            self._take(await self._socket.recv_multipart())
            for _ in range(HIGH_WATER if self._newest else 0):
                if not await self._socket.poll(0):
                    break
                self._take(await self._socket.recv_multipart())
        if self._offset_unknown():
            self._offset = await asyncio.to_thread(self._ask_offset)
        return self._next_message()

    def close(self) -> None:
        self._socket.close()

    def __aiter__(self) -> AsyncSubscription:
        return self

    async def __anext__(self) -> Received:
        return await self.receive(self._timeout_s)

    async def __aenter__(self) -> AsyncSubscription:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> zmq.Socket[Any]:
        import zmq.asyncio  # only who uses it pays for its start

        self._socket = zmq.asyncio.Context.instance().socket(zmq.SUB)
        return self._socket


subscribe = Subscription
subscribe_async = AsyncSubscription


def _milliseconds(timeout_s: float | None) -> int | None:
    return None if timeout_s is None else max(round(timeout_s * 1000), 0)
