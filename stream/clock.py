"""One monotonic clock in integer nanoseconds, and a virtual one in its place."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """The clock from which every time in the recognizer comes."""

    def now_ns(self) -> int: ...


class Monotonic:
    """The machine's monotonic clock."""

    def now_ns(self) -> int:
        return time.monotonic_ns()


class Virtual:
    """A clock that stands still until it is advanced; it never goes back."""

    def __init__(self) -> None:
        self._now_ns = 0

    def now_ns(self) -> int:
        return self._now_ns

    def advance(self, to_ns: int) -> None:
        self._now_ns = max(self._now_ns, to_ns)
