"""How speech becomes words: the transcriber's settings."""

from __future__ import annotations

from dataclasses import dataclass

from normtr import models
from normtr.speech_limits import LONGEST_S, PASSAGE_S, PAUSE_MS, THRESHOLD


@dataclass(frozen=True)
class TranscriberConfig:
    """Speech to text: with which model, and how often."""

    model: str = models.SPEECH
    """An embedded package, a folder with a CTranslate2 Whisper, or (with a network) a hub name."""
    language: str = "en"
    """What is spoken, as Whisper's code; the embedded model knows English only."""
    interval_ms: int = 500
    """New sound needed for a pass, at least 100."""
    max_passage_s: float = PASSAGE_S
    """The longest sound of one pass, 1 to 15."""
    pause_ms: int = PAUSE_MS
    """So long without speech ends an utterance."""
    vad_threshold: float = THRESHOLD
    """What Silero gives at least this is speech, over 0 and under 1."""

    def __post_init__(self) -> None:
        """Raises ValueError for a number out of its range."""
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
        """Whether this is the embedded model in its own language, which works."""
        return (self.model, self.language) == (models.SPEECH, "en")
