"""What emotions and causes are called and how they are coloured, for whoever shows them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from normtr.cause import Cause

NOTHING = "not enough to say"
"""What is shown of a window that is abstained from."""


@dataclass(frozen=True)
class Look:
    """How a cause is shown: in words, by one letter, and by a colour `#rrggbb`."""

    text: str
    mark: str
    """It is told where there is no room for more; nothing is told by colour alone."""
    colour: str


CAUSE_LOOKS: dict[str, Look] = {
    Cause.OFF: Look("switched off", "o", "#bbbbbb"),
    Cause.STARTING: Look("starting", "s", "#dddddd"),
    Cause.PAUSED: Look("paused", "p", "#999999"),
    Cause.MUTED: Look("muted", "m", "#5b4a8a"),
    Cause.DENIED: Look("not permitted", "!", "#7a1f1f"),
    Cause.NO_DEVICE: Look("no device", "x", "#333333"),
    Cause.NO_TRACK: Look("not in the clip", "t", "#2f6f6f"),
    Cause.STALLED: Look("nothing arrives", "z", "#8c564b"),
    Cause.DROPPED: Look("dropped", "d", "#d62728"),
    Cause.ERROR: Look("error", "e", "#ff0000"),
    Cause.LATE: Look("late", "l", "#ff9f1c"),
    Cause.NO_FACE: Look("no face", "f", "#4a90d9"),
    Cause.POOR_IMAGE: Look("poor picture", "b", "#9ad1e0"),
    Cause.SILENCE: Look("silence", "·", "#c9b458"),
    Cause.NO_WORDS: Look("no words", "·", "#e5e5c0"),
    Cause.NONE: Look("here", "▮", "#2ca02c"),
}
"""Every cause, in the order in which they are named."""
OF_DEVICE: dict[str, str] = {
    Cause.MUTED: "{} muted",
    Cause.DENIED: "{} not permitted",
    Cause.NO_DEVICE: "no {}",
    Cause.STALLED: "{} gives nothing",
}
"""Causes that lie with the camera or the microphone, told with its name."""
TRACKS = {"face": "picture", "voice": "sound", "text": "sound"}
"""What of a clip the modalities are taken from."""
DEVICES = {"face": "camera", "voice": "microphone", "text": "microphone"}
NAMES = {"face": "face", "voice": "voice", "text": "words"}
"""What people call the modalities."""

EMOTION_COLOURS = {
    "angry": "#d55e00",
    "disgust": "#009e73",
    "fear": "#cc79a7",
    "happy": "#e69f00",
    "sad": "#0072b2",
    "surprise": "#56b4e9",
    "neutral": "#8c8c8c",
}
"""Okabe and Ito's, which colour-blind people can tell apart."""
OWN_COLOURS = (
    "#332288",
    "#88ccee",
    "#44aa99",
    "#117733",
    "#999933",
    "#cc6677",
    "#882255",
    "#aa4499",
)
"""Paul Tol's muted ones, for labels of a recognizer that somebody trained."""
OTHER_COLOUR = "#8c8c8c"


def name(modality: str) -> str:
    """What people call it; one that is not known, as the publisher does."""
    return NAMES.get(modality, modality)


def emotion_colour(label: str) -> str:
    """`#rrggbb`, always the same of a label; of those that are not known some may look alike."""
    if not label:
        return OTHER_COLOUR
    own = OWN_COLOURS[zlib.crc32(label.encode()) % len(OWN_COLOURS)]
    return EMOTION_COLOURS.get(label, own)


def look(cause: str) -> Look:
    """How a cause is shown; one of a newer publisher, which is not known here, by its name."""
    return CAUSE_LOOKS.get(cause) or Look(cause, "?", OTHER_COLOUR)


def reason(modality: str, cause: str) -> str:
    """Why the modality is not there, in words: `microphone muted`, `no face`."""
    if cause == Cause.NO_TRACK:
        return f"no {TRACKS.get(modality, modality)} in the clip"
    if cause in OF_DEVICE:
        return OF_DEVICE[cause].format(DEVICES.get(modality, modality))
    return look(cause).text


def ink(colour: str) -> str:
    """Black or white, whichever is easier to read on `#rrggbb`."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    light = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2
    return "#000000" if light > 0.18 else "#ffffff"  # there both are as easy to read
