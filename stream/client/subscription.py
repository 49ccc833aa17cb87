"""A subscription turns frames into messages and counts the lost ones, for loops and for asyncio."""

from __future__ import annotations

import logging
from collections import Counter, deque
from typing import Any, Generic, TypedDict, TypeVar, cast

import zmq

from normtr.errors import UserError
from stream.client.connection import HIGH_WATER, Keys, connect
from stream.client.control_client import CONTROL, Control
from stream.client.received import Received, received
from stream.wire import ADDRESS, PREFIX, Message, WireError, decode

M = TypeVar("M", bound=Received, covariant=True)
"""The type of what arrives: one topic's dataclass if one whole topic was given, else any."""

_log = logging.getLogger(__name__)


class Options(TypedDict, total=False):
    """The options of a subscription, beside its topics."""

    address: str
    """Where the recognizer publishes."""
    newest: bool
    """Give only the latest waiting message of each topic and source."""
    timeout_s: float | None
    """Iterating raises TimeoutError when nothing arrives for this long; it may go on afterwards."""
    control: str | None
    """Give times on this machine's monotonic clock. The offset is asked for at this address when
    the first message of a session arrives."""
    keys: Keys | None
    """The keys for a recognizer that has CURVE keys."""
    waiting: int
    """At most this many messages wait for a program that does not read; further ones are lost."""


class _Inbox(Generic[M]):
    """Turns frames into messages, and knows what waits and what was lost."""

    def __init__(
        self,
        *topics: str,
        address: str = ADDRESS,
        newest: bool = False,
        timeout_s: float | None = None,
        control: str | None = None,
        keys: Keys | None = None,
        waiting: int = HIGH_WATER,
    ) -> None:
        """Subscribe to every topic that begins with one of `topics`; without any, to all.

        `Options` describes the other arguments. Raises UserError when the address, a topic or a key
        is not valid.
        """
        self.session: str | None = None
        """The session that was heard last; None before the first message."""
        self.restarts = 0
        """How often another session took its place."""
        self.lost_of: Counter[str] = Counter()
        """How many messages did not arrive, by topic; the missing numbers tell it. Messages from
        before the subscription do not count, unless it is a replay, which is wanted whole."""
        self.refused = 0
        """The number of messages that were not of this wire version; each is logged and left
        out."""
        self._address, self._newest, self._timeout_s = address, newest, timeout_s
        self._control, self._keys = control, keys
        self._ready: deque[Received] = deque()
        self._due: dict[str, tuple[str, int]] = {}
        self._offset: tuple[str, int] | None = None
        for topic in topics:
            if not (topic.startswith(PREFIX) or PREFIX.startswith(topic)):
                raise UserError(f"no topic begins with {topic!r}; they begin with {PREFIX!r}.")
        socket = self._open()
        connect(socket, address, keys, waiting)
        for topic in topics or (PREFIX,):
            socket.subscribe(topic)

    @property
    def lost(self) -> int:
        """The number of lost messages of all topics."""
        return self.lost_of.total()

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
        if session != message.session:
            due = message.seq if message.first_seq is None else message.first_seq
        self.lost_of[message.topic] += max(message.seq - due, 0)
        self._due[message.topic] = message.session, message.seq + 1
        if self._newest:
            about = message.topic, message.source
            self._ready = deque(m for m in self._ready if (m.topic, m.source) != about)
        self._ready.append(message)

    def _offset_unknown(self) -> bool:
        """Return whether the next message needs a clock offset that is not known.

        A replay never does: its clock does not run any more.
        """
        message = self._ready[0]
        known = self._offset is not None and self._offset[0] == message.session
        return self._control is not None and not known and not message.replay

    def _ask_offset(self) -> tuple[str, int]:
        with Control(self._control or CONTROL, keys=self._keys) as control:
            return self._ready[0].session, control.clock_offset_ns()

    def _next_message(self) -> M:
        message = self._ready.popleft()
        if self._offset is not None and not message.replay:
            message = received(Message(message.topic, dict(message.payload)), self._offset[1])
        return cast(M, message)

    def _nothing(self, timeout_s: float | None) -> TimeoutError:
        return TimeoutError(f"nothing arrived from {self._address} within {timeout_s:g} s.")


class Subscription(_Inbox[M]):
    """An iterator over what arrives. Used by one thread."""

    def receive(self, timeout_s: float | None = None) -> M:
        """Return the next message. Raises TimeoutError when nothing arrives; None waits for
        ever."""
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

    def __iter__(self) -> Subscription[M]:
        return self

    def __next__(self) -> M:
        return self.receive(self._timeout_s)

    def __enter__(self) -> Subscription[M]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> zmq.Socket[Any]:
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
        return self._socket


class AsyncSubscription(_Inbox[M]):
    """An asynchronous iterator over what arrives. Used by one task."""

    async def receive(self, timeout_s: float | None = None) -> M:
        """Return the next message. Raises TimeoutError when nothing arrives; None waits for
        ever."""
        import asyncio  # its import is a third of the start, and callers have it already

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

    def __aiter__(self) -> AsyncSubscription[M]:
        return self

    async def __anext__(self) -> M:
        return await self.receive(self._timeout_s)

    async def __aenter__(self) -> AsyncSubscription[M]:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> zmq.Socket[Any]:
        import zmq.asyncio  # imported only when it is used

        self._socket = zmq.asyncio.Context.instance().socket(zmq.SUB)
        return self._socket


def _milliseconds(timeout_s: float | None) -> int | None:
    return None if timeout_s is None else max(round(timeout_s * 1000), 0)
