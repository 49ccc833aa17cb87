"""What emotions and causes are called and how they are coloured, for whoever shows them."""

from __future__ import annotations

NOTHING = "not enough to say"
"""What is shown of a window that is abstained from."""
SAYING = {
    "none": "here",
    "off": "switched off",
    "starting": "starting",
    "paused": "paused",
    "muted": "muted",
    "denied": "not permitted",
    "no_device": "no device",
    "no_track": "not in the clip",
    "stalled": "nothing arrives",
    "dropped": "dropped",
    "error": "error",
    "late": "late",
    "no_face": "no face",
    "poor_image": "poor picture",
    "silence": "silence",
    "no_words": "no words",
}
MARKS = {
    "none": "▮",
    "off": "o",
    "starting": "s",
    "paused": "p",
    "muted": "m",
    "denied": "!",
    "no_device": "x",
    "no_track": "t",
    "stalled": "z",
    "dropped": "d",
    "error": "e",
    "late": "l",
    "no_face": "f",
    "poor_image": "b",
    "silence": "·",
    "no_words": "·",
}
"""The same in one letter, where there is no room for more; never told by colour alone."""
OF_DEVICE = {
    "muted": "{} muted",
    "denied": "{} not permitted",
    "no_device": "no {}",
    "stalled": "{} gives nothing",
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
OTHER_COLOUR = "#8c8c8c"
THERE_COLOUR = "#2ca02c"
CAUSE_COLOURS = {
    "off": "#bbbbbb",
    "starting": "#dddddd",
    "paused": "#999999",
    "muted": "#5b4a8a",
    "denied": "#7a1f1f",
    "no_device": "#333333",
    "no_track": "#2f6f6f",
    "stalled": "#8c564b",
    "dropped": "#d62728",
    "error": "#ff0000",
    "late": "#ff9f1c",
    "no_face": "#4a90d9",
    "poor_image": "#9ad1e0",
    "silence": "#c9b458",
    "no_words": "#e5e5c0",
}


def name(modality: str) -> str:
    """What people call it; one that is not known, as the publisher does."""
    return NAMES.get(modality, modality)


def emotion_colour(label: str) -> str:
    """`#rrggbb`; one for all labels that are not known."""
    return EMOTION_COLOURS.get(label, OTHER_COLOUR)


def cause_colour(cause: str) -> str:
    """`#rrggbb`; one for all causes that are not known."""
    return THERE_COLOUR if cause == "none" else CAUSE_COLOURS.get(cause, OTHER_COLOUR)


def reason(modality: str, cause: str) -> str:
    """Why the modality is not there, in words: `microphone muted`, `no face`."""
    if cause == "no_track":
        return f"no {TRACKS.get(modality, modality)} in the clip"
    if cause in OF_DEVICE:
        return OF_DEVICE[cause].format(DEVICES.get(modality, modality))
    return SAYING.get(cause, cause)


def ink(colour: str) -> str:
    """Black or white, whichever is easier to read on `#rrggbb`."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    light = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2
    return "#000000" if light > 0.18 else "#ffffff"  # there both are as easy to read
