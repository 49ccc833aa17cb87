"""When the machine is too slow: what is given up, in which order, and when it is taken back.

`LoadShedding` is told step by step whether everything was in time. It knows no clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True)
class DutyCycle:
    """How much is done: one in so many; all 1 is everything."""

    face: int = 1
    """Of the pictures that a step may have, at least one."""
    transcribe: int = 1
    """Of the passes of the transcriber, by as much longer pauses between them."""
    voice: int = 1
    """Of the steps; the others are gaps of cause `dropped`."""


@dataclass(frozen=True)
class Level:
    """What is done here, in words and in numbers, and what it takes to come down to it."""

    saying: str
    duty_cycle: DutyCycle
    missed: int
    """So many of the last steps were not in time."""


JUDGED = 16
"""So many last steps decide about giving up more."""
LEVELS = (
    Level("everything", DutyCycle(), 0),
    Level("half of the pictures", DutyCycle(face=2), 4),
    Level("half of the pictures and of the passes over speech", DutyCycle(face=2, transcribe=2), 4),
    Level("half of the pictures, a quarter of the passes", DutyCycle(face=2, transcribe=4), 4),
    # Half of the voice is no gain before half of the steps are lost.
    Level("half of the pictures and the voice, a quarter of the passes", DutyCycle(2, 4, 2), 8),
)
"""From the top, 0, down."""
CALM = 40
"""So many steps in time are needed to take something back,"""
LONGEST_CALM = 640
"""more after each time that this was too early, at most so many;"""
SETBACK = 10
"""a step that was not in time costs so many."""


class LoadShedding:
    """Levels from 0 up to `len(LEVELS) - 1`."""

    def __init__(self) -> None:
        self.level = 0
        self._recent: deque[bool] = deque(maxlen=JUDGED)
        self._calm = 0
        self._patience = CALM
        self._on_trial = False  # the last change took something back and has not proved right yet

    def step(self, in_time: bool) -> int:
        """What another step says: +1 level (less is done from now on), -1, or 0 (as before)."""
        self._recent.append(in_time)
        self._calm = self._calm + 1 if in_time else max(self._calm - SETBACK, 0)
        below = LEVELS[self.level + 1 :]
        if below and self._recent.count(False) >= below[0].missed:
            if self._on_trial:
                self._patience = min(2 * self._patience, LONGEST_CALM)
            return self._change(+1)
        if self._calm < self._patience:
            return 0
        if self._on_trial:
            self._patience, self._on_trial = CALM, False
        return self._change(-1) if self.level else 0

    def _change(self, by: int) -> int:
        self.level += by
        self._recent.clear()
        self._calm = 0
        self._on_trial = by < 0
        return by


class DutyCycles:
    """The pace of each step, known to every thread; one of them changes it."""

    def __init__(self) -> None:
        self._plan: tuple[tuple[int, DutyCycle], ...] = ((0, LEVELS[0].duty_cycle),)

    @property
    def newest(self) -> DutyCycle:
        return self._plan[-1][1]

    def change(self, step: int, level: int) -> None:
        """From `step` on the pace is that of `level`; steps must rise."""
        self._plan = (*self._plan[-3:], (step, LEVELS[level].duty_cycle))

    def at(self, step: int) -> DutyCycle:
        """The pace of a step of the last seconds."""
        return next((p for since, p in reversed(self._plan) if since <= step), self._plan[0][1])

    def hears(self, step: int) -> bool:
        """Whether this step's voice is wanted."""
        return step % self.at(step).voice == 0
