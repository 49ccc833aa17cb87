"""Turns the outputs of a session into messages and gives them to every sink."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from stream.pipeline.events import Seen
from stream.pipeline.outputs import Notice, Output
from stream.publish.messages import Messages
from stream.publish.previews import Previews
from stream.publish.sink import InfoWanted, Sink
from stream.wire import INFO, TEXT, Message


@dataclass(frozen=True)
class Outgoing:
    """The way out of a session. Only the session's thread uses it."""

    messages: Messages
    previews: Previews
    sinks: Sequence[Sink]
    info: Callable[[], dict[str, Any]]
    """Returns the body of the `info` message."""
    words: bool
    """Whether words go out; they identify people."""

    def start(self, now_ns: int) -> None:
        """Send `info`, and let the sinks begin."""
        self.tell_info(now_ns)
        for sink in self.sinks:
            sink.start()

    def tell_info(self, now_ns: int) -> None:
        """Send the `info` message."""
        message = self.messages.envelope(INFO, now_ns, now_ns, self.info())
        for sink in self.sinks:
            sink.take([message])

    def give(self, sent_ns: int, output: Output) -> None:
        """Give an output of the pipe to every sink; it goes out at `sent_ns`."""
        made = list(self._made(sent_ns, output))
        for sink in self.sinks:
            sink.take(made, output)

    def tick(self) -> None:
        """Send what the sinks themselves ask for."""
        for sink in self.sinks:
            for wanted in sink.asks():
                match wanted:
                    case InfoWanted():
                        self.tell_info(time.monotonic_ns())
                    case Notice():
                        self.give(time.monotonic_ns(), wanted)
                    case _:
                        assert_never(wanted)

    def _made(self, sent_ns: int, output: Output) -> Iterator[Message]:
        if isinstance(output, Seen):
            for topic, body in self.previews.of(output, self._wanted):
                yield self.messages.envelope(topic, output.at_ns, sent_ns, body, output.source)
        for message in self.messages.of(sent_ns, output):
            if message.topic != TEXT or self.words:
                yield message

    def _wanted(self, topic: str) -> bool:
        return any(sink.wants(topic) for sink in self.sinks)
