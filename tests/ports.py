"""Free ports of this machine."""

from __future__ import annotations

import zmq

from stream.control_client import beside


def free_port() -> str:
    """An address whose port is free, and the next one, too."""
    with zmq.Context() as context, context.socket(zmq.PUB) as one, context.socket(zmq.PUB) as two:
        while True:
            address = f"tcp://127.0.0.1:{one.bind_to_random_port('tcp://127.0.0.1')}"
            try:
                two.bind(beside(address))
                return address
            except zmq.ZMQError:
                one.unbind(address)
