"""The PUB side: an XPUB socket that never waits for a subscriber."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

import zmq

from normtr.errors import UserError
from stream.wire import INFO, Message, encode

HIGH_WATER = 1000
"""Messages kept for one slow subscriber; after that it loses the newest."""
FLUSH_MS = 250


def is_local(address: str) -> bool:
    """Whether only this machine can connect to the address."""
    if not address.startswith("tcp://"):
        return address.startswith(("ipc://", "inproc://"))
    try:
        host = urlsplit(address).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Publisher:
    """Owned by one thread, as ZeroMQ sockets are."""

    def __init__(self, address: str) -> None:
        """Bind. Raises UserError when the address is open to others, taken or no address."""
        if not is_local(address):
            raise UserError(
                f"{address} can be reached from other machines, and no CURVE keys are configured; "
                "bind to tcp://127.0.0.1:PORT."
            )
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        self._socket.setsockopt(zmq.SNDHWM, HIGH_WATER)
        self._socket.setsockopt(zmq.LINGER, FLUSH_MS)
        try:
            self._socket.bind(address)
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            if error.errno == zmq.EADDRINUSE:
                raise UserError(
                    f"{address} is in use; end the other recognizer or give another --bind."
                ) from None
            raise UserError(f"cannot bind to {address}: {error.strerror}.") from None

    def send(self, message: Message) -> None:
        """Hand the message over; what a full subscriber misses is lost to it alone."""
        self._socket.send_multipart(encode(message), zmq.DONTWAIT)

    def info_wanted(self) -> bool:
        """Whether someone has subscribed to `info` since the last call."""
        wanted = False
        while self._socket.poll(0):
            frame = self._socket.recv()
            wanted |= frame[:1] == b"\x01" and INFO.encode().startswith(frame[1:])
        return wanted

    def close(self) -> None:
        """Flush for at most `FLUSH_MS`, then go."""
        self._socket.close()
        self._context.term()
