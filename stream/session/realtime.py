"""Real time: sources and workers run on their own threads, and the calling thread ticks for all."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence

from normtr import malloc_tuning
from stream.clock import Clock
from stream.pipeline.events import Event
from stream.pipeline.outputs import Notice, Sent
from stream.pipeline.pipe import judged
from stream.pipeline.pipe_config import PipeConfig
from stream.pipeline.worker_supervisor import POLL_S, Around
from stream.session.source_session import SourceSession, SourceSpec
from stream.wire import NoticeKind

TIDIED_STEPS = 240
"""Freed memory goes back to the system after this many steps: once a minute."""


class Session:
    """One run in real time, with one or several sources on one grid. Iterate over it once."""

    def __init__(
        self,
        config: PipeConfig,
        given: Sequence[SourceSpec],
        clock: Clock,
        seconds: float | None,
        around: Around = lambda worker: worker,
    ) -> None:
        """`around` wraps every worker, for example to make it fail."""
        self.origin_ns = clock.now_ns()
        self.ticks_skipped = 0
        self._queue: queue.SimpleQueue[tuple[SourceSession, Event]] = queue.SimpleQueue()
        self.source_sessions = tuple(
            SourceSession(config, one, self.origin_ns, clock, self._post, around) for one in given
        )
        self._active = list(self.source_sessions)
        self._clock = clock
        self._until_ns = None if seconds is None else self.origin_ns + round(seconds * 1e9)
        self._device = given[0].models.device
        self._predictor = given[0].models.predictor

    def __iter__(self) -> Iterator[Sent]:
        try:
            for source_session in self.source_sessions:
                source_session.start()
            yield from self._ticks()
            yield from self._last_words()
        finally:
            for source_session in self.source_sessions:
                source_session.stop()

    def _post(self, source_session: SourceSession, event: Event) -> None:
        self._queue.put((source_session, event))

    def _ticks(self) -> Iterator[Sent]:
        step, grid = 0, self.source_sessions[0].pipe
        while True:
            due_ns = grid.closes_ns(step)
            yield from self._await(step, grid.ends_ns(step), due_ns)
            yield from self._part(step)
            yield from self._expire()
            if not self._active:
                return
            for source_session in self._active:
                source_session.check()
            began_ns = self._clock.now_ns()
            yield from self._tick(step, began_ns, began_ns - due_ns)
            if step % TIDIED_STEPS == TIDIED_STEPS - 1:
                malloc_tuning.give_back()
            behind = (self._clock.now_ns() - grid.closes_ns(step + 1)) // grid.spec.step_ns
            self.ticks_skipped += max(behind, 0)
            step += 1 + max(behind, 0)

    def _await(self, step: int, ends_ns: int, due_ns: int) -> Iterator[Sent]:
        """Handle events until every source's step is closed, at the latest until it is due."""
        while (left_ns := ends_ns - self._clock.now_ns()) > 0:
            yield from self._absorb(left_ns / 1e9)
        yield from self._absorb(0.0)
        while (left_ns := due_ns - self._clock.now_ns()) > 0 and not all(
            source_session.pipe.recognizer.is_closed(step) for source_session in self._active
        ):
            yield from self._absorb(left_ns / 1e9)

    def _tick(self, step: int, began_ns: int, late_ns: int) -> Iterator[Sent]:
        pipes, windows = [source_session.pipe for source_session in self._active], []
        for pipe in pipes:
            began_window_ns = self._clock.now_ns()
            windows.append(pipe.recognizer.window(step))
            pipe.timed("window", self._clock.now_ns() - began_window_ns)
        whole_ns = self._clock.now_ns()
        estimates = judged(pipes, windows, self._predictor, step, began_ns)
        done_ns = self._clock.now_ns()
        for source_session, estimate in zip(self._active, estimates, strict=True):
            source_session.pipe.timed("judge", done_ns - whole_ns)
            source_session.pipe.timed("tick", done_ns - began_ns)
            yield source_session.sent(estimate)
        for source_session, estimate in zip(self._active, estimates, strict=True):
            for notice in source_session.pipe.keep_pace(estimate, late_ns, self._clock.now_ns()):
                yield source_session.sent(notice)
            if (step + 1) * source_session.pipe.spec.step_ms % 1000 == 0:
                yield source_session.sent(source_session.pipe.health(began_ns, measured=True))
        if lost := self._device.newly_lost():
            yield self._clock.now_ns(), Notice(NoticeKind.FELL_BACK_TO_CPU, began_ns, None, lost)

    def _part(self, step: int) -> Iterator[Sent]:
        """End the sources that have no input for this step; the others go on."""
        over = [
            source_session
            for source_session in self._active
            if source_session.over(step, self._until_ns)
        ]
        self._active = [
            source_session for source_session in self._active if source_session not in over
        ]
        for source_session in over:
            yield from source_session.finish()

    def _expire(self) -> Iterator[Sent]:
        for source_session in self.source_sessions:
            yield from source_session.expire()

    def _absorb(self, timeout_s: float) -> Iterator[Sent]:
        """Handle what was posted: wait for one event, then take all that are there."""
        try:
            source_session, event = (
                self._queue.get(timeout=timeout_s) if timeout_s > 0 else self._queue.get_nowait()
            )
            while True:
                yield from source_session.absorb(event)
                source_session, event = self._queue.get_nowait()
        except queue.Empty:
            return

    def _last_words(self) -> Iterator[Sent]:
        while any(source_session.listening for source_session in self.source_sessions):
            yield from self._absorb(POLL_S)
            yield from self._expire()
        yield from self._absorb(0.0)
