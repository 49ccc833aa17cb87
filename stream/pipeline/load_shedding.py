"""Decides what is given up when the machine is too slow, and when it is taken back.

`LoadShedding` is told, step by step, whether everything was in time. It knows no clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True)
class DutyCycle:
    """How much work is done: a value of n means one in n, so 1 everywhere means everything."""

    face: int = 1
    """Look at one in so many of a step's pictures, but at least at one."""
    transcribe: int = 1
    """Make one in so many passes of the transcriber, with longer pauses between them."""
    voice: int = 1
    """Compute the voice of one in so many steps; the others are gaps of cause `dropped`."""


@dataclass(frozen=True)
class Level:
    """A level of load shedding: its name, its work, and what leads down to it."""

    saying: str
    duty_cycle: DutyCycle
    missed: int
    """The program goes down to this level when so many of the last steps were not in time."""


JUDGED = 16
"""The number of last steps that decide about going down."""
LEVELS = (
    Level("everything", DutyCycle(), 0),
    Level("half of the pictures", DutyCycle(face=2), 4),
    Level("half of the pictures and of the passes over speech", DutyCycle(face=2, transcribe=2), 4),
    Level("half of the pictures, a quarter of the passes", DutyCycle(face=2, transcribe=4), 4),
    # Giving up half of the voice helps only if half of the steps are lost anyway.
    Level("half of the pictures and the voice, a quarter of the passes", DutyCycle(2, 4, 2), 8),
)
"""The levels, from 0 (everything) down."""
CALM = 40
"""A level is taken back after this many steps in time."""
LONGEST_CALM = 640
"""If that was too early, twice as many steps are needed the next time, up to this many."""
SETBACK = 10
"""A step that was not in time takes this many off the count of steps in time."""


class LoadShedding:
    """Follows the steps and gives the level, from 0 up to `len(LEVELS) - 1`."""

    def __init__(self) -> None:
        self.level = 0
        self._recent: deque[bool] = deque(maxlen=JUDGED)
        self._calm = 0
        self._patience = CALM
        self._on_trial = False  # the last change took something back and has not proved right yet

    def step(self, in_time: bool) -> int:
        """Take in another step; return the change of the level.

        +1 means that less is done from now on, -1 that more is done, and 0 that nothing changes.
        """
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
    """The duty cycle of each step. Every thread can read it; only one thread changes it."""

    def __init__(self) -> None:
        self._plan: tuple[tuple[int, DutyCycle], ...] = ((0, LEVELS[0].duty_cycle),)

    @property
    def newest(self) -> DutyCycle:
        return self._plan[-1][1]

    def change(self, step: int, level: int) -> None:
        """Use the duty cycle of `level` from `step` on; the steps of calls must rise."""
        self._plan = (*self._plan[-3:], (step, LEVELS[level].duty_cycle))

    def at(self, step: int) -> DutyCycle:
        """Return the duty cycle of one of the last seconds' steps."""
        return next((p for since, p in reversed(self._plan) if since <= step), self._plan[0][1])

    def hears(self, step: int) -> bool:
        """Return whether this step's voice is wanted."""
        return step % self.at(step).voice == 0
