"""Memory that was freed goes back to the system."""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    """Return what malloc keeps of freed blocks (some milliseconds); only glibc can be asked to.

    It keeps them for later, in pieces that other blocks do not fit into: 20 MiB of each network
    that is replaced.
    """
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
