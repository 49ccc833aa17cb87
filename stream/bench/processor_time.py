"""Measures how much processor time this process takes, in all and by stage."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

import psutil

from stream.pipeline.stages import Stage

CLIP, TICK, REST = "clip", "tick", "rest"
"""What is measured beside the stages: decoding, the main thread, and all other threads."""
THREADS = {**{stage.value: stage.value for stage in Stage}, "clip": CLIP, "MainThread": TICK}
"""What is measured, by the name of its thread."""


@dataclass(frozen=True)
class ProcessorTime:
    """The processor seconds that this process had used at some moment."""

    at_s: float
    total_s: float
    of_thread_s: dict[int, float]
    """User and system seconds, by the number that the system has for a thread."""

    @staticmethod
    def now() -> ProcessorTime:
        process = psutil.Process()
        each = {thread.id: thread.user_time + thread.system_time for thread in process.threads()}
        return ProcessorTime(time.monotonic(), sum(process.cpu_times()[:2]), each)

    def per_second(self, since: ProcessorTime) -> dict[str, Any] | None:
        """Return `total` and `by_stage` in processor seconds a second; None if no time passed.

        A thread that ended meanwhile counts as the rest, as do the threads of libraries.
        """
        passed_s = self.at_s - since.at_s
        if passed_s <= 0:
            return None
        names = {thread.native_id: thread.name for thread in threading.enumerate()}
        by_stage = dict.fromkeys(THREADS.values(), 0.0)
        for number, used_s in self.of_thread_s.items():
            if (name := THREADS.get(names.get(number, ""))) is not None:
                by_stage[name] += (used_s - since.of_thread_s.get(number, 0.0)) / passed_s
        total = (self.total_s - since.total_s) / passed_s
        rest = max(0.0, total - sum(by_stage.values()))
        return {"total": total, "by_stage": {**by_stage, REST: rest}}
