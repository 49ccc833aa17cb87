"""Opens the addresses of a session before anything is loaded, because they may be in use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from stream.commands.live_config import Live
from stream.publish.control import ControlServer
from stream.publish.endpoint import check
from stream.publish.lsl import LslOutlets
from stream.publish.publisher import Publisher
from stream.publish.sink import Sink


@dataclass(frozen=True)
class Doors:
    """The open ways out of a session. In virtual time there is none, since nobody can follow."""

    sinks: tuple[Sink, ...]
    control: ControlServer | None
    """It is bound and does not answer yet; None if it is off."""


@contextmanager
def doors(config: Live) -> Iterator[Doors]:
    """Open the ways out until the session is over.

    Raises UserError for an address that cannot be used.
    """
    for address, option in ((config.bind, "--bind"), (config.requests, "--control")):
        if address != "off":
            check(address, option, config.curve_keys)
    with ExitStack() as stack:
        sinks: list[Sink] = []
        control = None
        if not config.fast:
            sinks.append(stack.enter_context(closing(Publisher(config.bind, config.curve_keys))))
            if config.requests != "off":
                control = stack.enter_context(
                    closing(ControlServer(config.requests, config.curve_keys))
                )
        if config.lsl:
            sinks.append(stack.enter_context(closing(LslOutlets())))
        yield Doors(tuple(sinks), control)
