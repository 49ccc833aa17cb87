"""A sink takes the outputs of a session: a socket, a recording, the terminal and so on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stream.wire import Message

if TYPE_CHECKING:  # programs that only read recordings start without torch
    from stream.pipeline.outputs import Notice, Output


@dataclass(frozen=True)
class InfoWanted:
    """Somebody has subscribed to `er.v1.info` and has not received it yet."""


class Sink:
    """Takes what goes out of a session; a subclass overrides what it needs.

    Only the session's thread uses it. Its methods may raise UserError, which ends the session.
    """

    def start(self) -> None:
        """Begin; the session runs from now on."""

    def wants(self, topic: str) -> bool:
        """Return whether somebody wants a topic now that is made only on demand."""
        return False

    def take(self, messages: Sequence[Message], output: Output | None = None) -> None:
        """Take the messages that were made of one `output` of the pipe; there may be none.

        `info`, which describes the session itself, comes without an output.
        """

    def asks(self) -> Iterable[Notice | InfoWanted]:
        """Return what else shall go out; the session asks at every tick."""
        return ()

    def close(self) -> None:
        """End; the session is over."""
