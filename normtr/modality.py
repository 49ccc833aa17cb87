"""The modalities: the kinds of input by which a person is recognised."""

from __future__ import annotations

from enum import StrEnum


class Modality(StrEnum):
    """A modality. The order is the order of the network's input."""

    FACE = "face"
    VOICE = "voice"
    TEXT = "text"
