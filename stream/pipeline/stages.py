"""The devices and the stages of the pipe, and the modalities that each of them feeds."""

from __future__ import annotations

from enum import StrEnum

from normtr.modality import Modality


class CaptureDevice(StrEnum):
    """What pictures and sound come from; a clip stands in for both."""

    CAMERA = "camera"
    MICROPHONE = "microphone"


class Stage(StrEnum):
    """A kind of work in the pipe; each has a worker of its own."""

    FACE = "face"
    VOICE = "voice"
    TRANSCRIBE = "transcribe"


AFFECTS = {
    CaptureDevice.CAMERA: (Modality.FACE,),
    CaptureDevice.MICROPHONE: (Modality.VOICE, Modality.TEXT),
}
"""The modalities that each device feeds."""
FEEDS = {
    Stage.FACE: Modality.FACE,
    Stage.VOICE: Modality.VOICE,
    Stage.TRANSCRIBE: Modality.TEXT,
}
"""The modality that each stage works for."""
