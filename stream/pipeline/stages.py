"""The devices and the stages of the pipe, and the modalities that each of them feeds."""

from __future__ import annotations

from enum import StrEnum

from normtr.modality import Modality


class CaptureDevice(StrEnum):
    """A device that gives pictures or sound; a clip takes the place of both."""

    CAMERA = "camera"
    MICROPHONE = "microphone"


class Stage(StrEnum):
    """A kind of work in the pipe. Each stage has a worker of its own."""

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
