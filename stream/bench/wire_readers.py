"""The subscribers of `normtr bench wire`, in a process of their own.

One is measured, some are not, and some are deaf: they never read. `python -m
stream.bench.wire_readers ADDRESS OTHERS DEAF` prints `ready` when every subscriber that reads has
got a message. At the end of the session it prints what the measured one saw.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any

import zmq

from stream.wire import AFFECT, FACE, INFO, MAX_BYTES, NOTIFY, PREFIX, decode

FLOODED = FACE
"""The topic that floods the measured subscriber."""
ENOUGH = 100_000
"""This many messages may wait for the measured subscriber, so that any loss happens on the way."""

Sockets = list["zmq.Socket[bytes]"]


def main(argv: list[str]) -> None:
    address, others, deaf = argv[0], int(argv[1]), int(argv[2])
    context = zmq.Context()
    measured = _socket(context, address, [AFFECT, FLOODED, INFO, NOTIFY], ENOUGH)
    most = [1] * deaf + [1000] * others
    crowd = [_socket(context, address, [PREFIX], waiting) for waiting in most]
    reading = crowd[deaf:]
    measured.recv_multipart()
    for socket in reading:
        socket.recv_multipart()
    print("ready", flush=True)
    if reading:
        threading.Thread(target=_read_all, args=(reading,), daemon=True).start()
    print(json.dumps(_measured(measured)), flush=True)
    os._exit(0)  # the others still read


def _socket(
    context: zmq.Context[zmq.Socket[bytes]], address: str, topics: list[str], most: int
) -> zmq.Socket[bytes]:
    socket = context.socket(zmq.SUB)
    socket.setsockopt(zmq.RCVHWM, most)
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_BYTES)
    for topic in topics:
        socket.subscribe(topic)
    socket.connect(address)
    return socket


def _read_all(sockets: Sockets) -> None:
    """Read from all sockets until the process ends."""
    poller = zmq.Poller()
    for socket in sockets:
        poller.register(socket, zmq.POLLIN)
    while True:
        for socket, _ in poller.poll():
            socket.recv_multipart()


def _measured(socket: zmq.Socket[bytes]) -> dict[str, Any]:
    """Read until the session says that it stops; return the figures."""
    latency_ms: list[float] = []
    flooded = 0
    while True:
        frames = socket.recv_multipart()
        now_ns = time.monotonic_ns()
        topic = frames[0].decode()
        if topic == AFFECT:
            latency_ms.append((now_ns - decode(frames).payload["sent_ns"]) / 1e6)
        elif topic == FLOODED:
            flooded += 1
        elif topic == NOTIFY:
            return {"latency_ms": latency_ms, "flooded": flooded}


if __name__ == "__main__":
    main(sys.argv[1:])
