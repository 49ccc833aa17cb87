"""`normtr replay FILE` publishes a recorded session again, with its own timing."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from normtr.config import parse
from normtr.errors import UserError
from stream.client.connection import RECONNECT_MAX_MS, RECONNECT_MS
from stream.client.received import received
from stream.interrupts import Interrupts
from stream.publish import recording
from stream.publish.publisher import FLUSH_MS, Publisher
from stream.views.terminal import unless_gone
from stream.wire import ADDRESS, INFO, Message, WireError, decode, encode

LOOK_S = 0.1
"""This is how often it looks for subscribers to `info`, and for Ctrl-C."""
GATHER_S = (RECONNECT_MAX_MS + RECONNECT_MS) / 1000 + LOOK_S
"""After this time every client that waited for us has connected."""
LAST_MS = 30_000
"""At the end the last messages have this long to reach a slow subscriber."""
FULL_S = 0.002
"""The pause before a message is offered again to a subscriber whose queue is full."""


@dataclass(frozen=True)
class Replay:
    """Publish a session that `normtr live --record FILE` wrote, marked as a replay."""

    file: str
    bind: str = ADDRESS
    """Where to publish; other machines only with --curve-keys."""
    curve_keys: Path | None = None
    """Folder of CURVE keys (`normtr keys`): only the clients on its list are served."""
    speed: float = 1.0
    """2 plays twice as fast; the times in the messages stay those of the recording."""
    wait: float = 5.0
    """Wait this many seconds for the first subscriber, then play all the same."""

    def __post_init__(self) -> None:
        if not self.speed > 0:
            raise ValueError(f"--speed lies above 0, not at {self.speed:g}")
        if not self.wait >= 0:
            raise ValueError(f"--wait is 0 or more seconds, not {self.wait:g}")


def messages(path: Path) -> Iterator[tuple[int, Message]]:
    """Yield when each message was sent, in ns, and the message marked as a replay.

    Raises UserError naming a line that no subscriber could read.
    """
    first: dict[tuple[str, str], int] = {}
    for number, message in enumerate(recording.read(path), 1):
        try:
            known = received(message)
            first_seq = first.setdefault((known.session, known.topic), known.seq)
            marks = {"replay": True, "first_seq": first_seq}
            marked = Message(message.topic, {**message.payload, **marks})
            decode(list(encode(marked)))
        except (WireError, ValueError, OverflowError, RecursionError) as error:
            raise UserError(f"line {number} of {path} is no message: {error}.") from None
        yield known.sent_ns, marked


def run(argv: list[str]) -> int:
    config = parse(Replay, argv, "replay", positional=["file"])
    interrupts = Interrupts()
    try:
        path = Path(config.file)
        publisher = Publisher(config.bind, config.curve_keys, patient=True)
        try:
            # All is read before the first is sent, which takes some seconds for an hour.
            sent = [sent_ns for sent_ns, _ in messages(path)]
            if not sent:
                raise UserError(f"the recording {path} holds no message.")
            seconds = (max(sent) - min(sent)) / 1e9 / config.speed
            if recording.interrupted(path):
                _say("The recording's last line is not whole; left out.")
            _say(f"{len(sent)} messages in {seconds:.1f} s, {config.bind}")
            interrupts.running = True
            if not _awaited(publisher, config.wait, interrupts):
                _say(f"Nobody subscribed within {config.wait:g} s; it is played all the same.")
            _play(path, config.speed, publisher, interrupts)
        finally:
            publisher.close(FLUSH_MS if interrupts.asked else LAST_MS)
    except KeyboardInterrupt:
        pass
    return interrupts.status


def _say(sentence: str) -> None:
    with unless_gone(sys.stderr):
        print(sentence, file=sys.stderr)


def _awaited(publisher: Publisher, wait_s: float, interrupts: Interrupts) -> bool:
    """Return whether somebody subscribed in time.

    It waits a little longer, so that others who were waiting have subscribed, too.
    """
    begin_s = time.monotonic()
    start_s = None
    while not interrupts.asked:
        waited_s = time.monotonic() - begin_s
        if start_s is None and publisher.subscribed():
            # One look later the same program's other subscriptions have come, too.
            start_s = min(max(GATHER_S, waited_s + LOOK_S), wait_s)
        if waited_s >= (wait_s if start_s is None else start_s):
            return start_s is not None or wait_s == 0
        time.sleep(LOOK_S / 10)
    return True


def _play(path: Path, speed: float, publisher: Publisher, interrupts: Interrupts) -> None:
    begin_s, first_ns = time.monotonic(), None
    info: Message | None = None
    info_owed = False  # somebody subscribed to it and has not got it
    for sent_ns, message in messages(path):
        first_ns = sent_ns if first_ns is None else first_ns
        due_s = begin_s + (sent_ns - first_ns) / 1e9 / speed
        while not interrupts.asked:
            info_owed |= publisher.info_wanted()
            if info_owed and info is not None:
                info_owed = not publisher.send(info)
            now_s = time.monotonic()
            if now_s >= due_s:
                break
            time.sleep(min(due_s - now_s, LOOK_S))
        while not interrupts.asked and not publisher.send(message):
            time.sleep(FULL_S)
        if interrupts.asked:
            return
        if message.topic == INFO:
            info, info_owed = message, False
