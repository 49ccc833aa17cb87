"""Runs the recognizer live: devices in, topics out.

`stream.estimates(config)` runs it inside your own program. Names are loaded on use, so that light
programs such as `normtr watch` start without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stream.session.session import estimates
    from stream.session.source_config import SourceConfig

__all__ = ["SourceConfig", "estimates"]


def __getattr__(name: str) -> Any:
    if name == "estimates":
        from stream.session.session import estimates

        return estimates
    if name == "SourceConfig":
        from stream.session.source_config import SourceConfig

        return SourceConfig
    raise AttributeError(f"module 'stream' has no attribute {name!r}")
