"""The same pipe in-process: `for estimate in stream.estimates(config): ...`."""

from __future__ import annotations

from collections.abc import Iterator

from stream.pipeline.window_assembler import Estimate
from stream.session.session import open_session
from stream.session.source_config import SourceConfig


def estimates(config: SourceConfig | None = None) -> Iterator[Estimate]:
    """Estimates as they are made; nothing is published. Closing the iterator ends the session.

    Each says of which `source` it is: of several, one a source comes at every tick.

    Raises UserError with one sentence when source, devices or checkpoint cannot be used.
    """
    for _, output in open_session(config or SourceConfig()).stream:
        if isinstance(output, Estimate):
            yield output
