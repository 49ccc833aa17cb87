"""Real time: sources and workers on threads of their own, one tick for all on the calling one."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence

from normtr import heap
from stream.clock import Clock
from stream.pipeline.events import Event
from stream.pipeline.outputs import Notice, Sent
from stream.pipeline.pipe import judged
from stream.pipeline.pipe_config import PipeConfig
from stream.pipeline.worker_supervisor import POLL_S, Around
from stream.session.source_session import Given, Track
from stream.wire import NoticeKind

TIDIED_STEPS = 240
"""So often the memory that was freed goes back to the system: each minute."""


class Session:
    """One run in real time, of one or several sources on one grid. Iterate it once."""

    def __init__(
        self,
        config: PipeConfig,
        given: Sequence[Given],
        clock: Clock,
        seconds: float | None,
        around: Around = lambda worker: worker,
    ) -> None:
        """`around`: put around every worker, for example to have it fail."""
        self.origin_ns = clock.now_ns()
        self.ticks_skipped = 0
        self._queue: queue.SimpleQueue[tuple[Track, Event]] = queue.SimpleQueue()
        self.tracks = tuple(
            Track(config, one, self.origin_ns, clock, self._post, around) for one in given
        )
        self._active = list(self.tracks)
        self._clock = clock
        self._until_ns = None if seconds is None else self.origin_ns + round(seconds * 1e9)
        self._device = given[0].models.device
        self._judge = given[0].models.judge

    def __iter__(self) -> Iterator[Sent]:
        try:
            for track in self.tracks:
                track.start()
            yield from self._ticks()
            yield from self._last_words()
        finally:
            for track in self.tracks:
                track.stop()

    def _post(self, track: Track, event: Event) -> None:
        self._queue.put((track, event))

    def _ticks(self) -> Iterator[Sent]:
        step, grid = 0, self.tracks[0].pipe
        while True:
            due_ns = grid.closes_ns(step)
            while (left_ns := due_ns - self._clock.now_ns()) > 0:
                yield from self._absorb(left_ns / 1e9)
            yield from self._absorb(0.0)
            yield from self._part(step)
            yield from self._expire()
            if not self._active:
                return
            for track in self._active:
                track.check()
            began_ns = self._clock.now_ns()
            yield from self._tick(step, began_ns, began_ns - due_ns)
            if step % TIDIED_STEPS == TIDIED_STEPS - 1:
                heap.give_back()
            behind = (self._clock.now_ns() - grid.closes_ns(step + 1)) // grid.spec.step_ns
            self.ticks_skipped += max(behind, 0)
            step += 1 + max(behind, 0)

    def _tick(self, step: int, began_ns: int, late_ns: int) -> Iterator[Sent]:
        pipes, windows = [track.pipe for track in self._active], []
        for pipe in pipes:
            began_window_ns = self._clock.now_ns()
            windows.append(pipe.recognizer.window(step))
            pipe.timed("window", self._clock.now_ns() - began_window_ns)
        whole_ns = self._clock.now_ns()
        estimates = judged(pipes, windows, self._judge, step, began_ns)
        done_ns = self._clock.now_ns()
        for track, estimate in zip(self._active, estimates, strict=True):
            track.pipe.timed("judge", done_ns - whole_ns)
            track.pipe.timed("tick", done_ns - began_ns)
            yield track.sent(estimate)
        for track, estimate in zip(self._active, estimates, strict=True):
            for notice in track.pipe.keep_pace(estimate, late_ns, self._clock.now_ns()):
                yield track.sent(notice)
            if (step + 1) * track.pipe.spec.step_ms % 1000 == 0:
                yield track.sent(track.pipe.health(began_ns, measured=True))
        if lost := self._device.newly_lost():
            yield self._clock.now_ns(), Notice(NoticeKind.FELL_BACK_TO_CPU, began_ns, None, lost)

    def _part(self, step: int) -> Iterator[Sent]:
        """From the sources for which this step lies beyond the end; the others go on."""
        over = [track for track in self._active if track.over(step, self._until_ns)]
        self._active = [track for track in self._active if track not in over]
        for track in over:
            yield from track.finish()

    def _expire(self) -> Iterator[Sent]:
        for track in self.tracks:
            yield from track.expire()

    def _absorb(self, timeout_s: float) -> Iterator[Sent]:
        """Handle what was posted: the next event within the time, then all that wait."""
        try:
            track, event = (
                self._queue.get(timeout=timeout_s) if timeout_s > 0 else self._queue.get_nowait()
            )
            while True:
                yield from track.absorb(event)
                track, event = self._queue.get_nowait()
        except queue.Empty:
            return

    def _last_words(self) -> Iterator[Sent]:
        while any(track.listening for track in self.tracks):
            yield from self._absorb(POLL_S)
            yield from self._expire()
        yield from self._absorb(0.0)
