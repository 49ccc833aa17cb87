"""The publishing side: an XPUB socket that never waits for a subscriber.

When a queue is full, ZeroMQ drops the newest message. A subscriber shall lose the old ones instead.
So a subscriber that has read nothing for `PATIENCE_MS` is disconnected, and what waited for it is
thrown away. It connects again by itself when it reads, and gets what is new.
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
"""At most this many messages wait for one subscriber; it loses further ones."""
PATIENCE_MS = 4000
"""A subscriber that has not answered for this long is disconnected."""
HEARTBEAT_MS = 1000
SEND_BYTES = 64 * 1024
"""The system's buffer for one subscriber; without a limit it grows to megabytes."""
LARGEST_ASKED = 1024
"""The largest subscription or handshake, in bytes."""
HEARD_AT_ONCE = 1000
"""At most this many subscriptions are read in one go, so that a flood does not stop the rest."""
FLUSH_MS = 250

_SETTINGS = {
    zmq.XPUB_VERBOSE: 1,
    zmq.SNDHWM: HIGH_WATER,
    zmq.SNDBUF: SEND_BYTES,
    zmq.LINGER: FLUSH_MS,
    zmq.HEARTBEAT_IVL: HEARTBEAT_MS,
    zmq.HEARTBEAT_TIMEOUT: PATIENCE_MS,
    # This ends a connection so full that no heartbeat gets through (Linux and Windows).
    zmq.TCP_MAXRT: PATIENCE_MS,
}


class Publisher(Sink):
    """Publishes messages. One thread owns it, as with every ZeroMQ socket."""

    def __init__(self, address: str, keys: Path | None = None, patient: bool = False) -> None:
        """Bind the socket.

        A `patient` publisher waits for a subscriber whose queue is full, until it is disconnected.
        Raises UserError when the address is invalid, taken, or open to others without keys.
        """
        settings = {**_SETTINGS, zmq.XPUB_NODROP: int(patient)}
        self._endpoint = Endpoint(zmq.XPUB, address, "--bind", LARGEST_ASKED, keys, settings)
        self._socket = self._endpoint.socket
        self._prefixes: set[bytes] = set()
        self._info_wanted = False

    def send(self, message: Message) -> bool:
        """Hand the message over; return False if a patient publisher must wait for a subscriber.

        Otherwise a subscriber whose queue is full misses the message, and only that one does.
        """
        try:
            self._socket.send_multipart(encode(message), zmq.DONTWAIT)
        except zmq.Again:
            return False
        return True

    def subscribed(self) -> bool:
        """Return whether anybody subscribes to anything now."""
        self._hear()
        return bool(self._prefixes)

    def take(self, messages: Sequence[Message], output: Output | None = None) -> None:
        for message in messages:
            self.send(message)

    def asks(self) -> Iterable[InfoWanted]:
        return [InfoWanted()] if self.info_wanted() else []

    def wants(self, topic: str) -> bool:
        """Return whether anybody subscribes to the topic now."""
        self._hear()
        return any(topic.encode().startswith(prefix) for prefix in self._prefixes)

    def info_wanted(self) -> bool:
        """Return whether anybody has subscribed to `info` since the last call."""
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
                # A prefix that fits none of our topics need not be remembered.
                if any(topic.encode().startswith(prefix) for topic in TOPICS):
                    self._prefixes.add(prefix)
            elif frame[:1] == b"\x00":
                self._prefixes.discard(prefix)

    def close(self, flush_ms: int = FLUSH_MS) -> None:
        """Close when everything is on its way to its readers, but after `flush_ms` at the
        latest."""
        self._socket.setsockopt(zmq.LINGER, flush_ms)
        self._endpoint.close()
