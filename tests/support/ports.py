"""Free ports of this machine."""

from __future__ import annotations

import random

import zmq

from stream.client.control_client import beside

NOT_EPHEMERAL = range(20_000, 32_000)
"""Below what the kernel gives to outgoing connections, which would take a port that was just free."""


def free_port() -> str:
    """An address whose port is free, and the next one, too."""
    draw = random.SystemRandom()  # which no test seeds
    with zmq.Context() as context, context.socket(zmq.PUB) as one, context.socket(zmq.PUB) as two:
        while True:
            address = f"tcp://127.0.0.1:{draw.choice(NOT_EPHEMERAL[::2])}"
            try:
                one.bind(address)
                two.bind(beside(address))
                return address
            except zmq.ZMQError:
                continue
