"""What is recognised and how: the settings of the pipe."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from normtr.shipped import SHIPPED
from normtr.spec import MODALITIES
from stream.pipeline.transcriber_config import TranscriberConfig

Switch = Literal["on", "off"]
Rule = Literal["keep", "largest", "centre"]
"""Who of several faces is the person (see `stream.pipeline.person`)."""


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

    checkpoint: Path = SHIPPED
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
    person: Rule = "keep"
    """Of several faces: keep the first chosen one, or take the largest, or the one in the centre."""
    calibrated: bool = False
    """Take off the bias that `normtr calibrate` measured; its --help says what that gives."""
    personal: Path | None = None
    """The file of that calibration, if not the usual one in your data folder."""
    smoothing: float | None = None
    """Publish a smoothed label, too, averaged over about so many seconds; else none."""
    transcriber: TranscriberConfig = field(default_factory=TranscriberConfig)
    """Speech to text."""
    costs: Costs = field(default_factory=Costs)
    """What each stage takes in virtual time, in ms."""

    def __post_init__(self) -> None:
        """Raises ValueError for a share or a time that is none."""
        if self.smoothing is not None and not 0.0 < self.smoothing <= 60.0:
            raise ValueError(f"smoothing lies over 0 and up to 60 s, not at {self.smoothing:g}")
        if self.neutral is not None and not 0.0 < self.neutral < 1.0:
            raise ValueError(f"neutral lies between 0 and 1, not at {self.neutral:g}")

    @property
    def off(self) -> frozenset[str]:
        return frozenset(m for m in MODALITIES if getattr(self, m) == "off")
