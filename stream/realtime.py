"""Real time: sources and workers on threads of their own, ticks on the calling one."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from typing import Protocol

from normtr.errors import UserError
from stream.clock import Clock
from stream.events import Condition, Ended, Event, Failed
from stream.intake import Intake, Shot
from stream.pipe import Models, Notice, Pipe, PipeConfig, Sent
from stream.virtual import stamped
from stream.workers import Second, Worker

POLL_S = 0.05
"""A worker looks for work at least so often, even when no bell rang."""
LAST_WORDS_S = 3.0
STALLED_NS = 1_000_000_000
"""A device is stalled when its newest item is older than this,"""
STARTING_NS = 5_000_000_000
"""or when it gives none for so long after the start."""


class Source(Protocol):
    """A camera, a microphone or a clip."""

    device: str | None
    """`camera` or `microphone`; None for a clip, which cannot stall."""

    def start(self, intake: Intake, clock: Clock) -> None:
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
    ) -> None:
        self.origin_ns = clock.now_ns()
        self.ticks_skipped = 0
        self._queue: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.pipe = Pipe(config, models, self.origin_ns, self._queue.put)
        self._sources = sources
        self._clock = clock
        self._until_ns = None if seconds is None else self.origin_ns + round(seconds * 1e9)
        self._ended: dict[str, int] = {}
        self._stop = threading.Event()
        self._finished = threading.Event()
        self._threads: list[threading.Thread] = []

    def __iter__(self) -> Iterator[Sent]:
        try:
            for worker in self.pipe.workers():
                self._spawn(worker.name, self._drive, worker)
            if "text" not in self.pipe.config.off:
                self._spawn("transcribe", self._transcribe)
            for source in self._sources:
                source.start(self.pipe.intake, self._clock)
            yield from self._ticks()
            yield from self._last_words()
        finally:
            self._stop.set()
            for source in self._sources:
                source.stop()

    def _spawn(self, name: str, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, name=name, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

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
        for device in (source.device for source in self._sources if source.device is not None):
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
        self._finished.set()
        until = time.monotonic() + LAST_WORDS_S
        while any(t.name == "transcribe" and t.is_alive() for t in self._threads):
            if time.monotonic() > until:
                yield self._clock.now_ns(), Notice("late_words", self._clock.now_ns(), "text")
                break
            yield from self._absorb(POLL_S)
        yield from self._absorb(0.0)

    def _drive(self, worker: Worker) -> None:
        bell = threading.Event()
        self.pipe.intake.bells.append(bell)
        while not self._stop.is_set():
            bell.clear()
            work = worker.take(self._clock.now_ns())
            if work is None:
                bell.wait(POLL_S)
                continue
            self._run(worker, work)

    def _run(self, worker: Worker, work: object) -> None:
        began_ns = self._clock.now_ns()
        try:
            events = worker.run(work)
        except Exception as error:
            step = work.step if isinstance(work, Shot | Second) else 0
            modality = worker.name if worker.name in ("face", "voice") else "text"
            self._queue.put(Failed(modality, step, f"{type(error).__name__}: {error}"))
            return
        ready_ns = self._clock.now_ns()
        self.pipe.timed(worker.name, ready_ns - began_ns)
        for event in stamped(events, ready_ns):
            self._queue.put(event)

    def _transcribe(self) -> None:
        try:
            transcriber, ready = self.pipe.load_transcriber()
        except UserError as error:
            self._queue.put(Condition("text", "error", self._clock.now_ns(), str(error)))
            return
        self._queue.put(ready)
        bell = threading.Event()
        self.pipe.intake.bells.append(bell)
        while not self._stop.is_set():
            bell.clear()
            final = self._finished.is_set()
            work = transcriber.take(self._clock.now_ns(), final)
            if work is not None:
                self._run(transcriber, work)
            elif final:
                return
            else:
                bell.wait(POLL_S)
