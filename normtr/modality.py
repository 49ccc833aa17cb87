"""The modalities: what a person is recognised by."""

from __future__ import annotations

from enum import StrEnum


class Modality(StrEnum):
    """A modality; the order is that of the network's tokens."""

    FACE = "face"
    VOICE = "voice"
    TEXT = "text"
