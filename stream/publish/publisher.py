"""The PUB side: an XPUB socket that never waits for a subscriber.

ZeroMQ drops the newest message where a queue is full. So that a subscriber loses the old ones
instead, one that has read nothing for `PATIENCE_MS` is disconnected, and what waited for it is
thrown away: it connects again by itself once it reads, and then gets what is new.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import zmq

from stream.publish.endpoint import Endpoint
from stream.publish.sink import InfoWanted, Sink
from stream.wire import INFO, TOPICS, Message, encode

if TYPE_CHECKING:
    from stream.pipeline.outputs import Output

HIGH_WATER = 1000
"""No more messages than this wait for one subscriber; it loses what comes beyond,"""
PATIENCE_MS = 4000
"""until it has not answered for so long."""
HEARTBEAT_MS = 1000
SEND_BYTES = 64 * 1024
"""What the system keeps for one subscriber; it would let that grow to megabytes."""
LARGEST_ASKED = 1024
"""Bytes of a subscription, or of a handshake."""
HEARD_AT_ONCE = 1000
"""Subscriptions looked at in one go: a flood of them must not hold up the rest."""
FLUSH_MS = 250

_SETTINGS = {
    zmq.XPUB_VERBOSE: 1,
    zmq.SNDHWM: HIGH_WATER,
    zmq.SNDBUF: SEND_BYTES,
    zmq.LINGER: FLUSH_MS,
    zmq.HEARTBEAT_IVL: HEARTBEAT_MS,
    zmq.HEARTBEAT_TIMEOUT: PATIENCE_MS,
    # Where the way is so full that no heartbeat gets through (Linux and Windows).
    zmq.TCP_MAXRT: PATIENCE_MS,
}


class Publisher(Sink):
    """Owned by one thread, as ZeroMQ sockets are."""

    def __init__(self, address: str, keys: Path | None = None, patient: bool = False) -> None:
        """Bind. Raises UserError when the address is open to others without keys, or taken.

        `patient`: a subscriber whose queue is full is waited for, until it is disconnected.
        """
        settings = {**_SETTINGS, zmq.XPUB_NODROP: int(patient)}
        self._endpoint = Endpoint(zmq.XPUB, address, "--bind", LARGEST_ASKED, keys, settings)
        self._socket = self._endpoint.socket
        self._prefixes: set[bytes] = set()
        self._info_wanted = False

    def send(self, message: Message) -> bool:
        """Hand the message over; what a full subscriber misses is lost to it alone.

        A patient publisher hands nothing over while a subscriber is full, and gives False.
        """
        try:
            self._socket.send_multipart(encode(message), zmq.DONTWAIT)
        except zmq.Again:
            return False
        return True

    def subscribed(self) -> bool:
        """Whether somebody subscribes to anything now."""
        self._hear()
        return bool(self._prefixes)

    def take(self, messages: Sequence[Message], output: Output | None = None) -> None:
        for message in messages:
            self.send(message)

    def asks(self) -> Iterable[InfoWanted]:
        return [InfoWanted()] if self.info_wanted() else []

    def wants(self, topic: str) -> bool:
        """Whether somebody subscribes to the topic now."""
        self._hear()
        return any(topic.encode().startswith(prefix) for prefix in self._prefixes)

    def info_wanted(self) -> bool:
        """Whether someone has subscribed to `info` since the last call."""
        self._hear()
        wanted, self._info_wanted = self._info_wanted, False
        return wanted

    def _hear(self) -> None:
        for _ in range(HEARD_AT_ONCE):
            try:
                frame = self._socket.recv(zmq.DONTWAIT)
            except zmq.Again:
                return
            joins, prefix = frame[:1] == b"\x01", frame[1:]
            if joins:
                self._info_wanted |= INFO.encode().startswith(prefix)
                # A prefix of no topic of ours need not be remembered.
                if any(topic.encode().startswith(prefix) for topic in TOPICS):
                    self._prefixes.add(prefix)
            elif frame[:1] == b"\x00":
                self._prefixes.discard(prefix)

    def close(self, flush_ms: int = FLUSH_MS) -> None:
        """Go, once everything is on its way to who reads it, after `flush_ms` at the latest."""
        self._socket.setsockopt(zmq.LINGER, flush_ms)
        self._endpoint.close()
