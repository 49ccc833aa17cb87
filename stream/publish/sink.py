"""What takes the outputs of a session: a socket, a recording, the terminal and so on are sinks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stream.wire import Message

if TYPE_CHECKING:  # programs that only read recordings start without torch
    from stream.pipeline.outputs import Notice, Output


@dataclass(frozen=True)
class InfoWanted:
    """Somebody has subscribed to `er.v1.info` and has not had it yet."""


class Sink:
    """Takes what goes out of a session; a subclass overrides what it needs.

    It is used by the session's thread alone. Its methods may raise UserError, which ends the
    session.
    """

    def start(self) -> None:
        """Begin; the session runs from now on."""

    def wants(self, topic: str) -> bool:
        """Whether a message of a topic that is made only on demand would be of use now."""
        return False

    def take(self, messages: Sequence[Message], output: Output | None = None) -> None:
        """Take the messages that were made of one `output` of the pipe.

        There may be none. `info`, which tells of the session itself, is made of no output.
        """

    def asks(self) -> Iterable[Notice | InfoWanted]:
        """What shall go out besides; it is asked once a tick."""
        return ()

    def close(self) -> None:
        """The session is over."""
