"""The pipe without its clock: ingest, workers and window assembler, built from one config."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import assert_never

import numpy as np
import psutil

from normtr.cause import Cause
from normtr.modality import Modality
from normtr.predictor import Prediction, Predictor
from normtr.running_baseline import RunningBaseline
from normtr.window import Window
from stream.pipeline.events import (
    Arrived,
    Asked,
    Condition,
    Down,
    Dropped,
    Ended,
    Event,
    Failed,
    FeatureRow,
    OtherPerson,
    Restarted,
    Seen,
    TextReady,
    TranscriptEvent,
    Word,
)
from stream.pipeline.ingest import Ingest
from stream.pipeline.load_shedding import LEVELS, LoadShedding
from stream.pipeline.models import Models
from stream.pipeline.outputs import HealthReport, Notice, Output, SourceReport
from stream.pipeline.person import Person
from stream.pipeline.pipe_config import PipeConfig
from stream.pipeline.smoothing import Smoother
from stream.pipeline.stages import FEEDS, CaptureDevice, Stage
from stream.pipeline.transcriber import Transcriber
from stream.pipeline.window_assembler import SLOW, Estimate, WindowAssembler
from stream.pipeline.workers import FaceWorker, VoiceWorker, Worker
from stream.wire import NoticeKind

LOST = (Cause.DENIED, Cause.NO_DEVICE, Cause.NO_TRACK, Cause.STALLED)
"""Causes whose begin and end are told as notices."""
LATE_NS = 50_000_000
"""A tick that begins later than this was not in time."""
STARTING_STEPS = 16
"""The first steps (4 s) do not count, because the program's own start keeps the machine busy."""


class Pipe:
    """One source's pipe, built when the session's origin is known. `realtime` or `virtual` drives
    it."""

    def __init__(
        self, config: PipeConfig, models: Models, origin_ns: int, post: Callable[[Event], None]
    ) -> None:
        self.config = config
        self.spec = models.checkpoint.spec
        self.origin_ns = origin_ns
        self.ingest = Ingest(self.spec, origin_ns, post, config.off)
        self.recognizer = WindowAssembler(self.spec, origin_ns, config.off)
        self.stages = tuple(stage for stage, feeds in FEEDS.items() if feeds not in config.off)
        self.stage_ms: dict[str, deque[float]] = {}
        self.restarts = dict.fromkeys(self.stages, 0)
        self.load_shedding = LoadShedding()
        self._models = models
        self._post = post
        self._person = Person(config.person)
        self._baseline = (
            RunningBaseline(models.checkpoint) if config.baseline == "running" else None
        )
        self._smoother = (
            None if config.smoothing is None else Smoother(config.smoothing, models.checkpoint)
        )
        self._words: tuple[Word, ...] = ()
        self._standing: dict[Modality, Cause | None] = {}
        self._was: dict[CaptureDevice, int] = {}
        self._muted = False
        self._loading = Stage.TRANSCRIBE in self.stages

    def worker(self, stage: Stage, anew: bool = False) -> Worker:
        """Return the worker of a stage that is on.

        `anew` says that it replaces one; then its model is loaded again. A transcriber may load its
        model, which takes a second. Raises UserError when the model is unusable.
        """
        ingest, models, origin_ns = self.ingest, self._models, self.origin_ns
        # A new worker skips the sound that may have brought the last one down.
        begin = ingest.ring.end if anew else 0
        ring, cycles = ingest.ring, ingest.duty_cycles
        match stage:
            case Stage.FACE:
                if anew:
                    models.load_face()
                return FaceWorker(ingest.frames, models.face, self._person)
            case Stage.VOICE:
                if anew:
                    models.load_voice()
                return VoiceWorker(ring, models.voice, self.spec, origin_ns, cycles, begin)
            case Stage.TRANSCRIBE:
                assert models.text is not None
                if anew:
                    models.load_whisper()
                settings, whisper = self.config.transcriber, models.whisper()
                worker = Transcriber(ring, origin_ns, settings, whisper, cycles, begin, self._words)
                self._post(TextReady(models.text))
                return worker
            case _:
                assert_never(stage)

    def ends_ns(self, step: int) -> int:
        """Return when the step ends; its estimate can be made from then on."""
        return self.origin_ns + (step + 1) * self.spec.step_ns

    def closes_ns(self, step: int) -> int:
        """Return when the estimate of the window that ends with `step` is made at the latest."""
        return self.ends_ns(step) + self.spec.settle_ns

    def without_baseline(self, window: Window) -> Window:
        """Return the window to be judged: what is the person's own is taken off."""
        return window if self._baseline is None else self._baseline(window)

    def estimate(self, step: int, window: Window, prediction: Prediction, now_ns: int) -> Estimate:
        """Return the estimate of the window that was assembled last; the tick began at `now_ns`."""
        if self._baseline is not None:
            self._baseline.learn(window, prediction.probabilities)
        faces = self.recognizer.faces(step)
        smoothed = None if self._smoother is None else self._smoother(window, prediction)
        return Estimate(step, window, prediction, now_ns, faces, smoothed)

    def absorb(self, event: Event) -> Sequence[Output]:
        """Take an event in; return the outputs that go out at once."""
        self.recognizer.handle(event)
        match event:
            case TextReady():
                self._loading = False
            case TranscriptEvent():
                self._words = event.words
                return [*self._word_notices(event), *([event] if event.changes else [])]
            case Failed():
                at_ns = self.origin_ns + event.step * self.spec.step_ns
                return [Notice(NoticeKind.WORKER_ERROR, at_ns, event.modality, event.reason)]
            case Seen():
                return [] if self.ingest.was_held(CaptureDevice.CAMERA, event.at_ns) else [event]
            case Asked():
                return [Notice(event.kind, event.at_ns, event.modality, event.detail)]
            case OtherPerson():
                if self._baseline is not None:
                    self._baseline.forget()
                detail = "another person is in view"
                return [Notice(NoticeKind.PERSON_CHANGED, event.at_ns, Modality.FACE, detail)]
            case Down():
                self._loading = self._loading and event.stage != Stage.TRANSCRIBE
                feeds = FEEDS[event.stage]
                return [Notice(NoticeKind.WORKER_DOWN, event.at_ns, feeds, event.reason)]
            case Restarted():
                self.restarts[event.stage] += 1
                feeds = FEEDS[event.stage]
                return [Notice(NoticeKind.WORKER_RESTARTED, event.at_ns, feeds, event.reason)]
            case FeatureRow():
                return self._mute_notices(event) if event.modality == Modality.VOICE else []
            case Condition():
                return self._notices(event)
            case Arrived() | Dropped() | Ended():
                pass  # the window assembler and the session take these
            case _:
                assert_never(event)
        return []

    def ask(self, asked: Asked) -> None:
        """Send a request out as a notice; any thread may call this."""
        self._post(asked)

    def keep_pace(self, estimate: Estimate, late_ns: int, now_ns: int) -> Sequence[Notice]:
        """Give up or take back work after a tick that began `late_ns` late; in real time only.

        Returns the notice of a change. Steps of the program's own start do not count.
        """
        if self._loading or estimate.step < STARTING_STEPS:
            return []
        gaps, duty_cycles = estimate.window.gaps, self.ingest.duty_cycles
        wanted = [Modality.FACE]
        if duty_cycles.hears(estimate.step):
            wanted.append(Modality.VOICE)
        in_time = late_ns <= LATE_NS and not any(gaps[m][-1] in SLOW for m in wanted)
        change = self.load_shedding.step(in_time)
        if not change:
            return []
        step = (now_ns - self.origin_ns) // self.spec.step_ns + 1
        level = self.load_shedding.level
        duty_cycles.change(step, level)
        detail = f"level {level} of {len(LEVELS) - 1} from now on: {LEVELS[level].saying}"
        at_ns = self.origin_ns + step * self.spec.step_ns
        kind = NoticeKind.DEGRADED if change > 0 else NoticeKind.RECOVERED
        return [Notice(kind, at_ns, None, detail)]

    def _word_notices(self, event: TranscriptEvent) -> Sequence[Notice]:
        notices = []
        if event.skipped is not None:
            begin_ns, end_ns = event.skipped
            detail = f"{(end_ns - begin_ns) / 1e9:.1f} s of sound were skipped to keep up"
            notices.append(Notice(NoticeKind.LATE_WORDS, begin_ns, Modality.TEXT, detail))
        if event.foreign:
            kind, at_ns = NoticeKind.NOT_UNDERSTOOD, event.horizon_ns
            detail = "the speech model does not know this speech, so its words are left out"
            notices.append(Notice(kind, at_ns, Modality.TEXT, detail))
        return notices

    def _mute_notices(self, row: FeatureRow) -> Sequence[Notice]:
        """Return a notice when a device begins or ends to give exact zeros.

        It does so when it is muted, or when another device has taken its place.
        """
        held = self.ingest.was_held(CaptureDevice.MICROPHONE, row.begin_ns)
        if row.cause == Cause.MUTED and not self._muted and not held:
            self._muted = True
            detail = "only exact zeros come: the microphone is muted, or another one is in use"
            return [Notice(NoticeKind.MUTED, row.end_ns, row.modality, detail)]
        if row.cause in (Cause.NONE, Cause.SILENCE) and self._muted:
            self._muted = False
            return [Notice(NoticeKind.UNMUTED, row.begin_ns, row.modality, "sound comes again")]
        return []

    def _notices(self, event: Condition) -> Sequence[Notice]:
        before = self._standing.get(event.modality)
        self._standing[event.modality] = event.cause
        if event.cause in LOST:
            return [
                Notice(
                    NoticeKind.DEVICE_LOST, event.at_ns, event.modality, event.detail or event.cause
                )
            ]
        if event.cause is None and before in LOST:
            return [Notice(NoticeKind.DEVICE_BACK, event.at_ns, event.modality, event.detail)]
        return []

    def health(self, now_ns: int, *, measured: bool) -> HealthReport:
        """Return the health of the last second.

        `measured` adds stage times and memory, which virtual time does not have.
        """
        sources = {}
        drops = {
            CaptureDevice.CAMERA: self.ingest.frames.dropped,
            CaptureDevice.MICROPHONE: self.ingest.ring.missing,
        }
        for device, meter in self.ingest.meters.items():
            items, self._was[device] = meter.items - self._was.get(device, 0), meter.items
            lag = None if meter.newest_ns is None else (now_ns - meter.newest_ns) / 1e6
            alive = lag is not None and lag < 1000.0
            sources[device] = SourceReport(alive, float(items), drops[device], lag, meter.drift_ppm)
        stages: dict[str, dict[str, float] | None] = {}
        for name, times in sorted(self.stage_ms.items()):
            p50, p95 = np.percentile(list(times), [50, 95]) if times else (0.0, 0.0)
            stages[name] = {"p50_ms": float(p50), "p95_ms": float(p95)} if measured else None
        memory = psutil.Process().memory_info().rss / 2**20 if measured else None
        fresh = {m: f.share for m, f in self.recognizer.fresh.items()}
        restarts, level = dict(self.restarts), self.load_shedding.level
        return HealthReport(now_ns, sources, stages, memory, fresh, restarts, level)

    def timed(self, stage: str, took_ns: int) -> None:
        """Remember how long one run of a stage took."""
        self.stage_ms.setdefault(stage, deque(maxlen=240)).append(took_ns / 1e6)


def judged(
    pipes: Sequence[Pipe], windows: Sequence[Window], predictor: Predictor, step: int, now_ns: int
) -> list[Estimate]:
    """Return the estimates of all pipes' windows at one tick, computed in one batch."""
    predictions = predictor(
        [pipe.without_baseline(window) for pipe, window in zip(pipes, windows, strict=True)]
    )
    return [
        pipe.estimate(step, window, prediction, now_ns)
        for pipe, window, prediction in zip(pipes, windows, predictions, strict=True)
    ]
