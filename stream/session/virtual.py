"""Virtual time: the whole pipe is one event loop in which nothing is measured.

Packets enter at their arrival time, a free worker takes its newest input, and its result is seen
`cost` later. Each worker computes on a thread of its own, as in real time, so that all cores work;
nothing is seen before its virtual time. Events run in the order (time, results before ticks, sequence).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from normtr.media import Media, Picture, Piece
from stream.capture.clip import begun, conditions, feed
from stream.clock import Virtual
from stream.pipeline.events import Event, stamped
from stream.pipeline.models import Models
from stream.pipeline.outputs import Notice, Sent
from stream.pipeline.pipe import Pipe, judged
from stream.pipeline.pipe_config import PipeConfig
from stream.pipeline.stages import CaptureDevice, Stage
from stream.wire import NoticeKind

PACKET, RESULT, END, TICK = 0, 1, 2, 3
"""What happens, in the order in which it does at one time; END is the end of a step."""


def outputs(
    config: PipeConfig, models: Models, media: Media, seconds: float | None
) -> Iterator[Sent]:
    """Yield every output of the clip with the virtual time at which it goes out."""
    for sent_ns, output in _Loop(config, models, media, seconds).run():
        yield sent_ns, replace(output, source=media.name)


class _Loop:
    def __init__(
        self,
        config: PipeConfig,
        models: Models,
        media: Media,
        seconds: float | None,
    ) -> None:
        self._posted: list[Event] = []
        self._clock = Virtual()
        self._media = media
        self._pipe = Pipe(config, models, 0, self._posted.append)
        self._predictor, self._device = models.predictor, models.device
        self._until_ns = None if seconds is None else round(seconds * 1e9)
        self._heap: list[tuple[int, int, int, Any]] = []
        self._count = 0
        self._costs = config.costs
        self._workers = {stage: self._pipe.worker(stage) for stage in self._pipe.stages}
        self._busy: set[Stage] = set()
        self._end_ns = 0
        self._step = 0
        self._ticks = False  # whether the tick of this step stands in the heap already

    def run(self) -> Iterator[Sent]:
        with ThreadPoolExecutor(max(len(self._workers), 1)) as threads:
            self._threads = threads
            yield from self._events()

    def _events(self) -> Iterator[Sent]:
        ingest = self._pipe.ingest
        conditions(self._media, ingest, 0)
        yield from self._absorb()
        packets = begun(iter(self._media), self._until_ns)
        self._next_packet(packets)
        self._await(0)
        while self._heap:
            at_ns, kind, _, what = heapq.heappop(self._heap)
            self._clock.advance(at_ns)
            if kind == PACKET:
                feed(what, ingest)
                self._next_packet(packets)
            elif kind == RESULT:
                stage, events = what
                self._busy.discard(stage)
                self._posted += stamped(events.result(), at_ns)
            elif kind == TICK:
                yield from self._tick(what)
            yield from self._absorb()
            self._start_idle()
            self._tick_if_closed()
        yield from self._last_words()

    def _next_packet(self, packets: Iterator[Picture | Piece]) -> None:
        item = next(packets, None)
        if item is None:
            for device in CaptureDevice:
                self._pipe.ingest.end(device, self._end_ns)
            return
        self._end_ns = max(self._end_ns, item.end_ns)
        if self._until_ns is not None:
            self._end_ns = min(self._end_ns, self._until_ns)
        self._push(item.arrival_ns, PACKET, item)

    def _push(self, at_ns: int, kind: int, what: Any) -> None:
        self._count += 1
        heapq.heappush(self._heap, (max(at_ns, self._clock.now_ns()), kind, self._count, what))

    def _start_idle(self) -> None:
        now_ns = self._clock.now_ns()
        for stage, worker in self._workers.items():
            if stage in self._busy:
                continue
            work = worker.take(now_ns)
            if work is not None:
                self._busy.add(stage)
                cost_ns = getattr(self._costs, stage) * 1_000_000
                events = self._threads.submit(worker.run, work)
                self._push(now_ns + cost_ns, RESULT, (stage, events))

    def _absorb(self) -> Iterator[Sent]:
        while self._posted:
            event = self._posted.pop(0)
            for output in self._pipe.absorb(event):
                yield self._clock.now_ns(), output

    def _await(self, step: int) -> None:
        """Tick for this step next: when it is closed, at the latest when it is due."""
        self._step, self._ticks = step, False
        self._push(self._pipe.closes_ns(step), TICK, step)
        self._push(self._pipe.ends_ns(step), END, step)

    def _tick_if_closed(self) -> None:
        ended = self._clock.now_ns() >= self._pipe.ends_ns(self._step)
        if ended and not self._ticks and self._pipe.recognizer.is_closed(self._step):
            self._ticks = True
            # After all that happens at the same time.
            self._push(self._clock.now_ns(), TICK, self._step)

    def _tick(self, step: int) -> Iterator[Sent]:
        if step != self._step:  # it was closed before it was due
            return
        now_ns = self._clock.now_ns()
        ended = not any(kind == PACKET for _, kind, _, _ in self._heap)
        if ended and step > 0 and (step + 1) * self._pipe.spec.step_ns > self._end_ns:
            return
        text_ms = self._costs.text if Stage.TRANSCRIBE in self._workers else 0
        sent_ns = now_ns + (text_ms + self._costs.tick) * 1_000_000
        window = self._pipe.recognizer.window(step)
        found = judged([self._pipe], [window], self._predictor, step, now_ns)
        yield from ((sent_ns, estimate) for estimate in found)
        if lost := self._device.newly_lost():
            yield sent_ns, Notice(NoticeKind.FELL_BACK_TO_CPU, now_ns, None, lost)
        if (step + 1) * self._pipe.spec.step_ms % 1000 == 0:
            yield sent_ns, self._pipe.health(now_ns, measured=False)
        self._await(step + 1)

    def _last_words(self) -> Iterator[Sent]:
        transcriber = self._workers.get(Stage.TRANSCRIBE)
        while transcriber is not None:
            work = transcriber.take(self._clock.now_ns(), final=True)
            if work is None:
                return
            self._clock.advance(self._clock.now_ns() + self._costs.transcribe * 1_000_000)
            self._posted += stamped(transcriber.run(work), self._clock.now_ns())
            yield from self._absorb()
