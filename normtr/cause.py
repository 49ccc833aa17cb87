"""The causes why a step of a modality has no row."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Cause(StrEnum):
    """The cause of a gap; `none` means that the step has a row.

    When several causes hold, the first one in this order is named.
    """

    OFF = "off"
    """The modality is switched off in the config."""
    STARTING = "starting"
    """The session, the device or the model is not ready yet."""
    PAUSED = "paused"
    """Capture is paused by request."""
    MUTED = "muted"
    """The device is muted by request, or gives exact zeros for half a second or more."""
    DENIED = "denied"
    """The operating system does not permit the device."""
    NO_DEVICE = "no_device"
    """There is no such device, or it was lost."""
    NO_TRACK = "no_track"
    """The clip has no picture or no sound."""
    STALLED = "stalled"
    """The device is open and nothing arrives."""
    DROPPED = "dropped"
    """The input came and was given up, because a queue was full or the machine was too busy."""
    ERROR = "error"
    """A worker failed on the input, or there was no worker."""
    LATE = "late"
    """The row was not ready when its estimate was due."""
    NO_FACE = "no_face"
    """There is no face in the picture."""
    TURNED_AWAY = "turned_away"
    """The face is turned further than those that the network has learnt from."""
    POOR_IMAGE = "poor_image"
    """The face is too small, too flat or too blurred."""
    SILENCE = "silence"
    """The sound is below the gate's level."""
    NO_WORDS = "no_words"
    """Nothing was said, as far as the speech recognizer heard."""
    NONE = "none"
    """There is no gap."""


GAPS = tuple(cause for cause in Cause if cause is not Cause.NONE)
"""The causes of a gap, in the order in which they are named."""
_ORDER = {cause: number for number, cause in enumerate(Cause)}


def first_cause(causes: Iterable[Cause]) -> Cause:
    """Return the cause to name when several hold; `none` when there are none."""
    return min(causes, key=_ORDER.__getitem__, default=Cause.NONE)
