"""`normtr replay FILE`: a recorded session onto the wire again, with its own timing."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from normtr.config import parse
from normtr.errors import UserError
from stream import recording
from stream.interrupts import Interrupts
from stream.publisher import Publisher
from stream.received import received
from stream.terminal import unless_gone
from stream.wire import ADDRESS, INFO, Message, WireError, decode, encode

LOOK_S = 0.1
"""So often it is looked whether someone subscribed to `info`, or pressed Ctrl-C."""


@dataclass(frozen=True)
class Replay:
    """Publish a session that `normtr live --record FILE` wrote, marked as a replay."""

    file: str
    bind: str = ADDRESS
    """Where to publish; other machines only with --curve-keys."""
    curve_keys: Path | None = None
    """Folder of CURVE keys (`normtr keys`): only the clients on its list are served."""
    speed: float = 1.0
    """2 plays twice as fast. The times in the messages stay those of the recording."""

    def __post_init__(self) -> None:
        if not self.speed > 0:
            raise ValueError(f"--speed lies above 0, not at {self.speed:g}")


def messages(path: Path) -> Iterator[tuple[int, Message]]:
    """When each message was sent, in ns, and the message as it goes onto the wire again.

    Raises UserError naming the line that no subscriber could read.
    """
    for number, message in enumerate(recording.read(path), 1):
        marked = Message(message.topic, {**message.payload, "replay": True})
        try:
            sent_ns = received(decode(list(encode(marked)))).sent_ns
        except (WireError, ValueError, OverflowError, RecursionError) as error:
            raise UserError(f"line {number} of {path} is no message: {error}.") from None
        yield sent_ns, marked


def run(argv: list[str]) -> int:
    config = parse(Replay, argv, "replay", positional=["file"])
    interrupts = Interrupts()
    try:
        path = Path(config.file)
        sent = [sent_ns for sent_ns, _ in messages(path)]  # all is read before the first is sent
        if not sent:
            raise UserError(f"the recording {path} holds no message.")
        seconds = (max(sent) - min(sent)) / 1e9 / config.speed
        with closing(Publisher(config.bind, config.curve_keys)) as publisher:
            with unless_gone(sys.stderr):
                if recording.interrupted(path):
                    print("The recording's last line is not whole; left out.", file=sys.stderr)
                print(f"{len(sent)} messages in {seconds:.1f} s, {config.bind}", file=sys.stderr)
            interrupts.running = True
            _play(path, config.speed, publisher, interrupts)
    except KeyboardInterrupt:
        pass
    return interrupts.status


def _play(path: Path, speed: float, publisher: Publisher, interrupts: Interrupts) -> None:
    begin_s, first_ns = time.monotonic(), None
    info: Message | None = None
    looked_s = 0.0
    for sent_ns, message in messages(path):
        first_ns = sent_ns if first_ns is None else first_ns
        due_s = begin_s + (sent_ns - first_ns) / 1e9 / speed
        while not interrupts.asked:
            now_s = time.monotonic()
            if now_s - looked_s >= LOOK_S:
                looked_s = now_s
                if publisher.info_wanted() and info is not None:
                    publisher.send(info)
            if now_s >= due_s:
                break
            time.sleep(min(due_s - now_s, LOOK_S))
        if interrupts.asked:
            return
        publisher.send(message)
        info = message if message.topic == INFO else info
