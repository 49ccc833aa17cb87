"""`normtr watch`: subscribe and show topics in the terminal."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import zmq
from rich.console import Console
from rich.live import Live
from rich.text import Text

from normtr.config import parse
from normtr.errors import UserError
from stream import view
from stream.wire import AFFECT, PREFIX, Message, WireError, decode

SILENT_S = 1.5


@dataclass(frozen=True)
class Watch:
    """Subscribe to a recognizer and show what it publishes."""

    address: str = "tcp://127.0.0.1:5577"
    topic: str = PREFIX
    """Only topics that begin like this, e.g. er.v1.affect."""
    json: bool = False
    """One JSON object a line on standard output: {"topic": ..., "payload": ...}."""
    seconds: float | None = None
    """End after so many seconds."""


def messages(config: Watch) -> Iterator[Message | None]:
    """What arrives; None after each `SILENT_S` without anything. Bad frames are skipped."""
    context = zmq.Context()
    socket = context.socket(zmq.SUB)
    until = None if config.seconds is None else time.monotonic() + config.seconds
    try:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVHWM, 1000)
        socket.setsockopt(zmq.MAXMSGSIZE, 1_000_000)
        try:
            socket.connect(config.address)
        except zmq.ZMQError as error:
            raise UserError(f"cannot connect to {config.address}: {error.strerror}.") from None
        socket.subscribe(config.topic)
        while until is None or time.monotonic() < until:
            left_s = SILENT_S if until is None else min(SILENT_S, until - time.monotonic())
            if not socket.poll(max(round(left_s * 1000), 0)):
                yield None
                continue
            try:
                yield decode(socket.recv_multipart())
            except WireError as error:
                print(f"normtr watch: skipped a message: {error}", file=sys.stderr)
    finally:
        socket.close()
        context.term()


def run(argv: list[str]) -> int:
    config = parse(Watch, argv, "watch")
    if config.json:
        for message in messages(config):
            if message is not None:
                print(json.dumps({"topic": message.topic, "payload": message.payload}), flush=True)
        return 0
    console = Console()
    waiting = Text(f"nothing arrives from {config.address}; is `normtr live` running?", style="dim")
    with Live(waiting, console=console, auto_refresh=False) as screen:
        for message in messages(config):
            if message is None:
                screen.update(waiting, refresh=True)
            elif message.topic == AFFECT:
                session = str(message.payload["session"])
                screen.update(view.status(message.payload, f"session {session}"), refresh=True)
    return 0
