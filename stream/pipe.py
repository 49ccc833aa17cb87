"""The pipe without its clock: intake, workers and recognizer, wired from one config."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import psutil
import torch

from normtr import checkpoint
from normtr.errors import UserError
from normtr.face import FaceEncoder
from normtr.judge import Judge
from normtr.pools import one_thread_each
from normtr.spec import MODALITIES
from normtr.text import TextEncoder
from normtr.voice import VoiceEncoder
from stream.events import Condition, Event, Failed, FeatureRow, Heard, TextReady
from stream.intake import Intake
from stream.recognizer import Estimate, Recognizer
from stream.transcriber import Transcriber, TranscriberConfig
from stream.workers import FaceWorker, VoiceWorker, Worker

Switch = Literal["on", "off"]


@dataclass(frozen=True)
class Costs:
    """What each stage takes in virtual time, in ms: constants, so that nothing is measured."""

    face: int = 60
    voice: int = 40
    transcribe: int = 550
    text: int = 25
    tick: int = 5


@dataclass(frozen=True)
class PipeConfig:
    """What is recognised and how; the same in every program that runs the pipe."""

    checkpoint: Path = checkpoint.SHIPPED
    """Folder of the recognizer's weights."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the networks run; auto: CUDA where there is a GPU."""
    face: Switch = "on"
    """Whether faces are looked at."""
    voice: Switch = "on"
    """Whether the sound of the voice is used."""
    text: Switch = "on"
    """Whether speech is transcribed (English)."""
    neutral: float | None = None
    """Expected share of windows without emotion, over 0 and under 1; else all seven are even."""
    transcriber: TranscriberConfig = field(default_factory=TranscriberConfig)
    """Speech to text."""
    costs: Costs = field(default_factory=Costs)
    """What each stage takes in virtual time, in ms."""

    def __post_init__(self) -> None:
        """Raises ValueError for a share that is none."""
        if self.neutral is not None and not 0.0 < self.neutral < 1.0:
            raise ValueError(f"neutral lies between 0 and 1, not at {self.neutral:g}")

    @property
    def off(self) -> frozenset[str]:
        return frozenset(m for m in MODALITIES if getattr(self, m) == "off")


@dataclass(frozen=True)
class Notice:
    """Something a subscriber should know: `kind` as in the schema of `er.v1.notify`."""

    kind: str
    at_ns: int
    modality: str | None = None
    detail: str = ""


@dataclass(frozen=True)
class SourceHealth:
    """One source over the last second; `lag_ms`: age of its newest item.

    `drift_ppm`: how much faster its clock runs than ours.
    """

    alive: bool
    rate_hz: float
    drops: int
    lag_ms: float | None
    drift_ppm: float | None = None


@dataclass(frozen=True)
class Health:
    """Once a second; measured fields are None in virtual time."""

    at_ns: int
    sources: dict[str, SourceHealth]
    stages: dict[str, dict[str, float] | None]
    memory_mib: float | None
    fresh_share: dict[str, float | None]


Output = Estimate | Heard | Notice | Health
Sent = tuple[int, Output]
"""The time at which something goes out, in ns on the session's clock, and what it is."""


def choose_device(wanted: str) -> str:
    """`auto` takes CUDA where there is a GPU. Raises UserError when `cuda` cannot be had."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError("there is no CUDA device here; use --device cpu.")
    return "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"


class Models:
    """The loaded networks of a checkpoint."""

    def __init__(self, config: PipeConfig) -> None:
        one_thread_each()
        self.device = choose_device(config.device)
        self.checkpoint = checkpoint.load(config.checkpoint)
        spec = self.checkpoint.spec
        self.face = FaceEncoder(spec.face, self.checkpoint.face, self.device)
        self.voice = VoiceEncoder(spec.voice, self.checkpoint.voice)
        self.judge = Judge(self.checkpoint, self.device, config.neutral)
        # Importing BERT beside running workers would hold them up for two seconds.
        self.text = (
            None
            if "text" in config.off
            else TextEncoder(spec.text, self.device, adapter=self.checkpoint.adapter)
        )

    def warm_up(self, picture_size: tuple[int, int]) -> None:
        """One pass of each, so that the first real one is not late.

        `picture_size`: height and width of the pictures that will come, where known: the
        detector is built anew for each.
        """
        spec = self.checkpoint.spec
        self.face(np.zeros((*picture_size, 3), np.uint8))
        self.face.row(np.zeros((spec.face.crop_px, spec.face.crop_px), np.uint8))
        ramp = np.linspace(-1, 1, spec.voice.context_samples, dtype=np.float32)
        self.voice(ramp)
        if self.text is not None:
            self.text.word_vectors(["ready"])


class Pipe:
    """Built when the session's origin is known; the drivers in realtime and virtual run it."""

    def __init__(
        self, config: PipeConfig, models: Models, origin_ns: int, post: Callable[[Event], None]
    ) -> None:
        self.config = config
        self.spec = models.checkpoint.spec
        self.origin_ns = origin_ns
        self.intake = Intake(self.spec, origin_ns, post, config.off)
        self.recognizer = Recognizer(self.spec, models.judge, origin_ns, config.off)
        self.stage_ms: dict[str, deque[float]] = {}
        self._models = models
        self._last_health: dict[str, int] = {}
        self._standing: dict[str, str | None] = {}
        self._was: dict[str, int] = {}
        self._muted = False

    def workers(self) -> list[Worker]:
        """Face and voice, as far as they are on; the transcriber is loaded apart."""
        out: list[Worker] = []
        if "face" not in self.config.off:
            out.append(FaceWorker(self.intake.frames, self._models.face))
        if "voice" not in self.config.off:
            out.append(VoiceWorker(self.intake.ring, self._models.voice, self.spec, self.origin_ns))
        return out

    def load_transcriber(self) -> tuple[Transcriber, TextReady]:
        """Load the speech model (a second); only where text is on."""
        assert self._models.text is not None
        transcriber = Transcriber(self.intake.ring, self.origin_ns, self.config.transcriber)
        return transcriber, TextReady(self._models.text)

    def closes_ns(self, step: int) -> int:
        """When the estimate of the window ending with `step` is due."""
        return self.origin_ns + (step + 1) * self.spec.step_ns + self.spec.settle_ns

    def tick(self, step: int, now_ns: int) -> Estimate:
        return self.recognizer.tick(step, now_ns)

    def absorb(self, event: Event) -> Sequence[Output]:
        """Take an event in; return what of it goes out at once."""
        self.recognizer.handle(event)
        if isinstance(event, Heard):
            return [event] if event.changes else []
        if isinstance(event, Failed):
            at_ns = self.origin_ns + event.step * self.spec.step_ns
            return [Notice("worker_error", at_ns, event.modality, event.reason)]
        if isinstance(event, FeatureRow) and event.modality == "voice":
            return self._mute_notices(event)
        return self._notices(event) if isinstance(event, Condition) else []

    def _mute_notices(self, row: FeatureRow) -> Sequence[Notice]:
        """A device that is muted, or whose sound was led elsewhere, gives exact zeros."""
        if row.cause == "muted" and not self._muted:
            self._muted = True
            detail = "only exact zeros come: the microphone is muted, or another one is in use"
            return [Notice("muted", row.end_ns, row.modality, detail)]
        if row.cause in ("none", "silence") and self._muted:
            self._muted = False
            return [Notice("unmuted", row.begin_ns, row.modality, "sound comes again")]
        return []

    def _notices(self, event: Condition) -> Sequence[Notice]:
        before = self._standing.get(event.modality)
        self._standing[event.modality] = event.cause
        if event.cause == "error":
            return [Notice("worker_error", event.at_ns, event.modality, event.detail)]
        if event.cause in ("no_device", "stalled", "denied"):
            return [Notice("device_lost", event.at_ns, event.modality, event.detail or event.cause)]
        if event.cause is None and before in ("no_device", "stalled", "denied"):
            return [Notice("device_back", event.at_ns, event.modality, event.detail)]
        return []

    def health(self, now_ns: int, *, measured: bool) -> Health:
        """`measured`: with stage times and memory, which virtual time does not have."""
        sources = {}
        for name, meter in self.intake.meters.items():
            items, self._was[name] = meter.items - self._was.get(name, 0), meter.items
            lag = None if meter.newest_ns is None else (now_ns - meter.newest_ns) / 1e6
            drops = self.intake.frames.dropped if name == "camera" else self.intake.ring.missing
            alive = lag is not None and lag < 1000.0
            sources[name] = SourceHealth(alive, float(items), drops, lag, meter.drift_ppm)
        stages: dict[str, dict[str, float] | None] = {}
        for name, times in sorted(self.stage_ms.items()):
            p50, p95 = np.percentile(list(times), [50, 95]) if times else (0.0, 0.0)
            stages[name] = {"p50_ms": float(p50), "p95_ms": float(p95)} if measured else None
        memory = psutil.Process().memory_info().rss / 2**20 if measured else None
        fresh = {m: f.share for m, f in self.recognizer.fresh.items()}
        return Health(now_ns, sources, stages, memory, fresh)

    def timed(self, stage: str, took_ns: int) -> None:
        """Remember what one run of a stage took."""
        self.stage_ms.setdefault(stage, deque(maxlen=240)).append(took_ns / 1e6)
