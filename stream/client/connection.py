"""Connects a client's socket: with limits, with keys if given, and again when it is lost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import zmq

from normtr.errors import UserError
from stream.wire import MAX_BYTES

HIGH_WATER = 1000
"""At most this many messages wait for a program that does not read."""
RECONNECT_MS = 100
RECONNECT_MAX_MS = 1000
PROBE_S, PROBES = 1, 3
"""When nothing comes for `PROBE_S`, the system asks whether the other machine is there; after
`PROBES` questions without an answer the connection is made anew.

ZeroMQ's own heartbeats are not used: with them libzmq (4.3.5, its issues 4364 and 4767) ends a
program that does not read, once the other side hangs up.
"""


@dataclass(frozen=True)
class Keys:
    """The files of CURVE keys: our own pair, and the recognizer's public key."""

    client: Path
    server: Path

    def lock(self, socket: zmq.Socket[bytes]) -> None:
        """Encrypt the socket with the keys. Raises UserError when a file cannot be used."""
        own, secret = _certificate(self.client)
        if secret is None:
            raise UserError(f"the key file {self.client} has no secret key.")
        server, _ = _certificate(self.server)
        try:
            socket.setsockopt(zmq.CURVE_PUBLICKEY, own)
            socket.setsockopt(zmq.CURVE_SECRETKEY, secret)
            socket.setsockopt(zmq.CURVE_SERVERKEY, server)
        except zmq.ZMQError:
            raise UserError(f"{self.client} or {self.server} is damaged: no CURVE keys.") from None


def connect(
    socket: zmq.Socket[bytes], address: str, keys: Keys | None, waiting: int = HIGH_WATER
) -> None:
    """Connect the socket; nobody need listen at the address yet.

    `waiting` messages may wait in the socket. Raises UserError when the address or a key is not
    valid.
    """
    for option, value in (
        (zmq.LINGER, 0),
        (zmq.RCVHWM, waiting),
        (zmq.MAXMSGSIZE, MAX_BYTES),
        (zmq.RECONNECT_IVL, RECONNECT_MS),
        (zmq.RECONNECT_IVL_MAX, RECONNECT_MAX_MS),
        (zmq.TCP_KEEPALIVE, 1),
        (zmq.TCP_KEEPALIVE_IDLE, PROBE_S),
        (zmq.TCP_KEEPALIVE_INTVL, PROBE_S),
        (zmq.TCP_KEEPALIVE_CNT, PROBES),
    ):
        socket.setsockopt(option, value)
    try:
        if keys is not None:
            keys.lock(socket)
        socket.connect(address)
    except zmq.ZMQError as error:
        socket.close()
        raise UserError(f"cannot connect to {address}: {error.strerror}.") from None
    except UserError:
        socket.close()
        raise


def _certificate(path: Path) -> tuple[bytes, bytes | None]:
    from zmq.auth import load_certificate  # imported only when keys are used

    try:
        return load_certificate(path)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read the key file {path}: {error}.") from None
