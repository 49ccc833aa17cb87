"""The settings of the pipe: what is recognised, and how."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from normtr import models
from normtr.modality import Modality
from normtr.shipped import SHIPPED
from normtr.speech_limits import LONGEST_S, PASSAGE_S, PAUSE_MS, THRESHOLD

Switch = Literal["on", "off"]
Rule = Literal["keep", "largest", "centre"]
"""How the person is chosen among several faces (see `stream.pipeline.person`)."""


@dataclass(frozen=True)
class Costs:
    """How long each stage takes in virtual time, in ms; constant, so that nothing is measured."""

    face: int = 60
    voice: int = 40
    transcribe: int = 250
    text: int = 25
    tick: int = 5


@dataclass(frozen=True)
class TranscriberConfig:
    """The settings of speech-to-text: which model, and how often."""

    model: str = models.SPEECH
    """An embedded package, a CTranslate2 Whisper folder, or (with a network) a hub name."""
    language: str = "en"
    """The spoken language, as Whisper's code; the embedded model knows English only."""
    interval_ms: int = 500
    """While somebody speaks, a pass needs this much new sound, at least 100."""
    max_passage_s: float = PASSAGE_S
    """The longest sound of one pass, from 1 to 15."""
    pause_ms: int = PAUSE_MS
    """A pause this long ends an utterance."""
    vad_threshold: float = THRESHOLD
    """Silero's score from which on sound is speech, over 0 and under 1."""

    def __post_init__(self) -> None:
        """Raise ValueError for a number out of its range."""
        if self.interval_ms < 100:
            raise ValueError(f"interval_ms is at least 100, not {self.interval_ms}")
        if not 1 <= self.max_passage_s <= LONGEST_S:
            raise ValueError(f"max_passage_s lies from 1 to 15, not at {self.max_passage_s:g}")
        if self.pause_ms < 0:
            raise ValueError(f"pause_ms is not negative, as {self.pause_ms} is")
        if not 0.0 < self.vad_threshold < 1.0:
            raise ValueError(f"vad_threshold lies between 0 and 1, not at {self.vad_threshold:g}")

    @property
    def is_usual(self) -> bool:
        """Whether this is the embedded model in its own language, which is sure to work."""
        return (self.model, self.language) == (models.SPEECH, "en")


@dataclass(frozen=True)
class PipeConfig:
    """What is recognised, and how. All programs that run the pipe share these settings."""

    checkpoint: Path = SHIPPED
    """The folder of the recognizer's weights."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the networks run; auto: on CUDA if there is a GPU."""
    face: Switch = "on"
    """Whether faces are looked at."""
    voice: Switch = "on"
    """Whether the sound of the voice is used."""
    text: Switch = "on"
    """Whether speech is transcribed (English)."""
    neutral: float | None = None
    """Expected share of windows without emotion, over 0 and under 1; else all labels are even."""
    person: Rule = "keep"
    """Among several faces, keep the first chosen one, or take the largest or the central one."""
    baseline: Literal["running", "off"] = "running"
    """running: take off what face and voice of this person say beside what one expects."""
    calibrated: bool = False
    """Take off the bias that `normtr calibrate` measured; see its --help for what that gives."""
    personal: Path | None = None
    """The file of the calibration for --calibrated, if not the usual one in your data folder."""
    smoothing: float | None = None
    """Publish a smoothed label, too, averaged over about this many seconds."""
    transcriber: TranscriberConfig = field(default_factory=TranscriberConfig)
    """Speech to text."""
    costs: Costs = field(default_factory=Costs)
    """How long each stage takes in virtual time, in ms."""

    def __post_init__(self) -> None:
        """Raise ValueError for a share or a time that is out of range."""
        if self.smoothing is not None and not 0.0 < self.smoothing <= 60.0:
            raise ValueError(f"smoothing lies over 0 and up to 60 s, not at {self.smoothing:g}")
        if self.neutral is not None and not 0.0 < self.neutral < 1.0:
            raise ValueError(f"neutral lies between 0 and 1, not at {self.neutral:g}")

    @property
    def off(self) -> frozenset[Modality]:
        return frozenset(m for m in Modality if getattr(self, m) == "off")
