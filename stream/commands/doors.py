"""What a session publishes through, opened before anything is loaded: an address may be in use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from stream.commands.live_config import Live
from stream.publish.control import Control
from stream.publish.endpoint import check
from stream.publish.lsl import LslOutlets
from stream.publish.publisher import Publisher


@dataclass(frozen=True)
class Doors:
    """None: it is off, or nobody can follow, in virtual time."""

    publisher: Publisher | None
    control: Control | None
    """Bound; it does not answer yet."""
    lsl: LslOutlets | None


@contextmanager
def doors(config: Live) -> Iterator[Doors]:
    """Open until the session is over. Raises UserError for an address that cannot be had."""
    for address, option in ((config.bind, "--bind"), (config.requests, "--control")):
        if address != "off":
            check(address, option, config.curve_keys)
    with ExitStack() as stack:
        publisher = control = None
        if not config.fast:
            publisher = stack.enter_context(closing(Publisher(config.bind, config.curve_keys)))
            if config.requests != "off":
                control = stack.enter_context(closing(Control(config.requests, config.curve_keys)))
        lsl = stack.enter_context(closing(LslOutlets())) if config.lsl else None
        yield Doors(publisher, control, lsl)
