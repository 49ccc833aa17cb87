"""Measures how much processor time this process takes, in all and by stage."""

from __future__ import annotations

import threading
import time
from typing import Any

import psutil

from stream.pipeline.stages import Stage

CLIP, TICK, REST = "clip", "tick", "rest"
"""What is measured beside the stages: the clip's thread, the main thread, and all other threads."""
THREADS = {**{stage.value: stage.value for stage in Stage}, "clip": CLIP, "MainThread": TICK}
"""What is measured, by the name of its thread."""


class ProcessorTime:
    """Adds up the processor time from its making to the last `look`; look at it now and then.

    A library's own threads, such as those of CTranslate2, which computes Whisper, count as the rest,
    as does what a thread used between the last look and its end.
    """

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._used_s: dict[str, float] = dict.fromkeys(THREADS.values(), 0.0)
        self._begin_s = self._end_s = time.monotonic()
        self._begin_total_s = self._total_s = self._total()
        self._seen = self._threads()

    def look(self) -> None:
        """Count what was used since the last look."""
        seen = self._threads()
        for (number, name), used_s in seen.items():
            self._used_s[name] += used_s - self._seen.get((number, name), 0.0)
        self._seen = seen
        self._end_s, self._total_s = time.monotonic(), self._total()

    def per_second(self) -> dict[str, Any] | None:
        """Return `total` and `by_stage` in processor seconds a second; None if no time passed."""
        passed_s = self._end_s - self._begin_s
        if passed_s <= 0:
            return None
        total = (self._total_s - self._begin_total_s) / passed_s
        by_stage = {name: self._used_s[name] / passed_s for name in THREADS.values()}
        rest = max(0.0, total - sum(by_stage.values()))
        return {"total": total, "by_stage": {**by_stage, REST: rest}}

    def _total(self) -> float:
        return float(sum(self._process.cpu_times()[:2]))

    def _threads(self) -> dict[tuple[int, str], float]:
        """Return user and system seconds, by a thread's number in the system and what it does."""
        names = {thread.native_id: thread.name for thread in threading.enumerate()}
        return {
            (thread.id, THREADS[name]): thread.user_time + thread.system_time
            for thread in self._process.threads()
            if (name := names.get(thread.id, "")) in THREADS
        }
