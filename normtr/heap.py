"""Memory that was freed goes back to the system."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

_ARENA_MAX = -8
"""What `mallopt` calls it (glibc's malloc.h)."""


def share() -> None:
    """From now on let new threads use one heap.

    Left to itself glibc gives them one each: 17 MiB more at the start, and four replaced voice
    networks cost 40 MiB for good, so 10; speed is the same.
    """
    mallopt = _glibc("mallopt")
    if mallopt is not None:
        mallopt(_ARENA_MAX, 1)


def give_back() -> None:
    """Return what malloc keeps of freed blocks (some milliseconds); only glibc can be asked to.

    It keeps them for later, in pieces that other blocks do not fit into: 20 MiB of each network
    that is replaced.
    """
    trim = _glibc("malloc_trim")
    if trim is not None:
        trim(0)


def _glibc(name: str) -> Callable[..., int] | None:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
