"""One source of a session in real time: its pipe, workers and devices, and its end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from normtr.cause import Cause
from normtr.modality import Modality
from stream.clock import Clock
from stream.pipeline.events import Asked, Ended, Event
from stream.pipeline.ingest import Source
from stream.pipeline.models import Models
from stream.pipeline.outputs import Notice, Output, Sent
from stream.pipeline.pipe import Pipe
from stream.pipeline.pipe_config import PipeConfig
from stream.pipeline.stages import CaptureDevice, Stage
from stream.pipeline.worker_supervisor import Around, WorkerSupervisor
from stream.wire import NoticeKind

LAST_WORDS_S = 3.0
STALLED_NS = 1_000_000_000
"""A device is stalled when its newest item is older than this."""
STARTING_NS = 5_000_000_000
"""A device that has given nothing yet is stalled this long after the start."""


@dataclass(frozen=True)
class SourceSpec:
    """The parts of a source session: its name, what feeds it, and models of its own."""

    name: str
    sources: Sequence[Source]
    models: Models


class SourceSession:
    """Runs one source. Only the session's thread uses it; events that it posts come back to
    `absorb`."""

    def __init__(
        self,
        config: PipeConfig,
        given: SourceSpec,
        origin_ns: int,
        clock: Clock,
        post: Callable[[SourceSession, Event], None],
        around: Around,
    ) -> None:
        def mine(event: Event) -> None:
            post(self, event)

        self.name = given.name
        self.pipe = Pipe(config, given.models, origin_ns, mine)
        self._sources = given.sources
        self._clock = clock
        self._stages = [
            WorkerSupervisor(name, self.pipe, clock, mine, around) for name in self.pipe.stages
        ]
        self._ended: dict[CaptureDevice, Ended] = {}
        self._finish_by = math.inf

    def start(self) -> None:
        for stage in self._stages:
            stage.start()
        for source in self._sources:
            source.start(self.pipe.ingest, self._clock)

    def absorb(self, event: Event) -> Iterator[Sent]:
        """Take in an event that was posted; yield the outputs that go out."""
        if isinstance(event, Ended):
            self._ended[event.device] = event
        for output in self.pipe.absorb(event):
            # A request concerns all sources, so its notice bears the name of none.
            yield (self._clock.now_ns(), output) if isinstance(event, Asked) else self.sent(output)

    def sent(self, output: Output) -> Sent:
        """Return the output with this source's name and the time now."""
        return self._clock.now_ns(), replace(output, source=self.name)

    def over(self, step: int, until_ns: int | None) -> bool:
        """Return whether this step lies beyond the end of the source, or beyond `until_ns`."""
        end_ns = until_ns
        if (own := self._own_end()) is not None:
            end_ns = own.at_ns if end_ns is None else min(end_ns, own.at_ns)
        closes_ns = self.pipe.origin_ns + (step + 1) * self.pipe.spec.step_ns
        return end_ns is not None and step > 0 and closes_ns > end_ns

    def check(self) -> None:
        """Look at devices and workers; call it at every tick."""
        self._watch_devices()
        for stage in self._stages:
            stage.check()

    def finish(self) -> Iterator[Sent]:
        """Stop the source, and let the last words be transcribed for `LAST_WORDS_S`."""
        for source in self._sources:
            source.stop()
        heard = self.pipe.ingest.meters[CaptureDevice.MICROPHONE].newest_ns is not None
        for stage in self._stages:
            if stage.name == Stage.TRANSCRIBE and heard:
                stage.finish()
            else:
                stage.stop()
        self._finish_by = time.monotonic() + LAST_WORDS_S
        if (own := self._own_end()) is not None:
            yield self.sent(Notice(NoticeKind.SOURCE_ENDED, own.at_ns, None, own.reason))

    def expire(self) -> Iterator[Sent]:
        """Give up the last words when their time is over; call it now and then."""
        if self.listening and time.monotonic() > self._finish_by:
            self.stop()
            yield self.sent(Notice(NoticeKind.LATE_WORDS, self._clock.now_ns(), Modality.TEXT))

    @property
    def listening(self) -> bool:
        """Whether more words can come."""
        return any(stage.working for stage in self._stages if stage.name == Stage.TRANSCRIBE)

    def stop(self) -> None:
        """Ask everything to end; does not wait for it."""
        for stage in self._stages:
            stage.stop()
        for source in self._sources:
            source.stop()

    def _own_end(self) -> Ended | None:
        """Return the later of the devices' ends; None while anything may come."""
        if set(CaptureDevice) <= set(self._ended):
            return max(self._ended.values(), key=lambda ended: ended.at_ns)
        return None

    def _watch_devices(self) -> None:
        """Note the devices that are stalled: a reader that hangs in its driver cannot say so
        itself."""
        now_ns, origin_ns, ingest = self._clock.now_ns(), self.pipe.origin_ns, self.pipe.ingest
        for device in (device for source in self._sources for device in source.devices):
            newest_ns = ingest.meters[device].newest_ns
            silent_ns = now_ns - (origin_ns if newest_ns is None else newest_ns)
            limit_ns = STARTING_NS if newest_ns is None else STALLED_NS
            if silent_ns > limit_ns and ingest.standing(device) in (None, Cause.STARTING):
                since_ns = origin_ns if newest_ns is None else newest_ns
                ingest.condition(device, Cause.STALLED, since_ns, f"the {device} gives nothing")
