"""Real time: sources and workers on threads of their own, ticks on the calling one."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from typing import Protocol

from stream.clock import Clock
from stream.events import Ended, Event
from stream.intake import Feed
from stream.models import Models
from stream.outputs import Notice, Sent
from stream.pipe import Pipe
from stream.pipe_config import PipeConfig
from stream.stage import POLL_S, Around, Stage

LAST_WORDS_S = 3.0
STALLED_NS = 1_000_000_000
"""A device is stalled when its newest item is older than this,"""
STARTING_NS = 5_000_000_000
"""or when it gives none for so long after the start."""


class Source(Protocol):
    """A camera, a microphone or a clip."""

    devices: tuple[str, ...]
    """`camera`, `microphone` or both; a clip has none, it cannot stall."""

    def start(self, intake: Feed, clock: Clock) -> None:
        """Begin to feed `intake` from a daemon thread."""
        ...

    def stop(self) -> None:
        """Ask it to end; must not block."""
        ...


class Session:
    """One run of the pipe in real time. Iterate it once."""

    def __init__(
        self,
        config: PipeConfig,
        models: Models,
        sources: list[Source],
        clock: Clock,
        seconds: float | None,
        around: Around = lambda worker: worker,
    ) -> None:
        """`around`: put around every worker, for example to have it fail."""
        self.origin_ns = clock.now_ns()
        self.ticks_skipped = 0
        self._queue: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.pipe = Pipe(config, models, self.origin_ns, self._queue.put)
        self._sources = sources
        self._clock = clock
        self._until_ns = None if seconds is None else self.origin_ns + round(seconds * 1e9)
        self._ended: dict[str, int] = {}
        post = self._queue.put
        self._stages = [Stage(name, self.pipe, clock, post, around) for name in self.pipe.stages]

    def __iter__(self) -> Iterator[Sent]:
        try:
            for stage in self._stages:
                stage.start()
            for source in self._sources:
                source.start(self.pipe.intake, self._clock)
            yield from self._ticks()
            yield from self._last_words()
        finally:
            for stage in self._stages:
                stage.stop()
            for source in self._sources:
                source.stop()

    def _ticks(self) -> Iterator[Sent]:
        step, step_ns = 0, self.pipe.spec.step_ns
        while True:
            due_ns = self.pipe.closes_ns(step)
            while (left_ns := due_ns - self._clock.now_ns()) > 0:
                yield from self._absorb(left_ns / 1e9)
            yield from self._absorb(0.0)
            if self._over(step):
                return
            self._watch_devices()
            for stage in self._stages:
                stage.check()
            began_ns = self._clock.now_ns()
            late_ns = began_ns - due_ns
            estimate = self.pipe.tick(step, began_ns)
            self.pipe.timed("tick", self._clock.now_ns() - began_ns)
            yield self._clock.now_ns(), estimate
            for notice in self.pipe.keep_pace(estimate, late_ns, self._clock.now_ns()):
                yield self._clock.now_ns(), notice
            if (step + 1) * self.pipe.spec.step_ms % 1000 == 0:
                yield self._clock.now_ns(), self.pipe.health(began_ns, measured=True)
            behind = (self._clock.now_ns() - self.pipe.closes_ns(step + 1)) // step_ns
            self.ticks_skipped += max(behind, 0)
            step += 1 + max(behind, 0)

    def _watch_devices(self) -> None:
        """A reader that hangs in its driver cannot say so itself."""
        now_ns, intake = self._clock.now_ns(), self.pipe.intake
        for device in (device for source in self._sources for device in source.devices):
            newest_ns = intake.meters[device].newest_ns
            silent_ns = now_ns - (self.origin_ns if newest_ns is None else newest_ns)
            limit_ns = STARTING_NS if newest_ns is None else STALLED_NS
            if silent_ns > limit_ns and intake.standing(device) in (None, "starting"):
                since_ns = self.origin_ns if newest_ns is None else newest_ns
                intake.condition(device, "stalled", since_ns, f"the {device} gives nothing")

    def _over(self, step: int) -> bool:
        """Whether this step lies beyond the end of a session that has one."""
        end_ns = self._until_ns
        if {"camera", "microphone"} <= set(self._ended):
            given_ns = max(self._ended.values())
            end_ns = given_ns if end_ns is None else min(end_ns, given_ns)
        closes_ns = self.origin_ns + (step + 1) * self.pipe.spec.step_ns
        return end_ns is not None and step > 0 and closes_ns > end_ns

    def _absorb(self, timeout_s: float) -> Iterator[Sent]:
        """Handle what was posted: the next event within the time, then all that wait."""
        try:
            event = (
                self._queue.get(timeout=timeout_s) if timeout_s > 0 else self._queue.get_nowait()
            )
            while True:
                if isinstance(event, Ended):
                    self._ended[event.source] = event.at_ns
                for output in self.pipe.absorb(event):
                    yield self._clock.now_ns(), output
                event = self._queue.get_nowait()
        except queue.Empty:
            return

    def _last_words(self) -> Iterator[Sent]:
        """What was said last is still transcribed, for at most `LAST_WORDS_S`."""
        for source in self._sources:
            source.stop()
        listening = [stage for stage in self._stages if stage.name == "transcribe"]
        for stage in listening:
            stage.finish()
        until = time.monotonic() + LAST_WORDS_S
        while any(stage.working for stage in listening):
            if time.monotonic() > until:
                yield self._clock.now_ns(), Notice("late_words", self._clock.now_ns(), "text")
                break
            yield from self._absorb(POLL_S)
        yield from self._absorb(0.0)
