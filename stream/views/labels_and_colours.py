"""The words and colours for emotions, causes, modalities and notices, in all views."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from normtr.cause import Cause
from normtr.modality import Modality
from stream.pipeline.stages import CaptureDevice
from stream.wire import NoticeKind

NOTHING = "not enough to say"
"""The text for a window in which the recognizer abstained."""


@dataclass(frozen=True)
class Look:
    """How a cause is shown: in words, as one letter, and in a colour `#rrggbb`."""

    text: str
    mark: str
    """It is shown where words have no room; nothing is told by colour alone."""
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
    Cause.TURNED_AWAY: Look("turned away", "a", "#2a5db0"),
    Cause.POOR_IMAGE: Look("poor picture", "b", "#9ad1e0"),
    Cause.SILENCE: Look("silence", "·", "#c9b458"),
    Cause.NO_WORDS: Look("no words", "·", "#e5e5c0"),
    Cause.NONE: Look("here", "▮", "#2ca02c"),
}
"""The look of every cause, in the order in which causes are named."""
OF_DEVICE: dict[str, str] = {
    Cause.MUTED: "{} muted",
    Cause.DENIED: "{} not permitted",
    Cause.NO_DEVICE: "no {}",
    Cause.STALLED: "{} gives nothing",
}
"""The texts of causes that concern the camera or the microphone; they name it."""


@dataclass(frozen=True)
class ModalityLook:
    """What people call a modality, and what it comes from."""

    text: str
    device: CaptureDevice
    track: str
    """The track of a clip that contains it."""


MODALITY_LOOKS: dict[str, ModalityLook] = {
    Modality.FACE: ModalityLook("face", CaptureDevice.CAMERA, "picture"),
    Modality.VOICE: ModalityLook("voice", CaptureDevice.MICROPHONE, "sound"),
    Modality.TEXT: ModalityLook("words", CaptureDevice.MICROPHONE, "sound"),
}
NOTICE_TEXTS: dict[str, str] = {
    NoticeKind.DEVICE_LOST: "device lost",
    NoticeKind.DEVICE_BACK: "device back",
    NoticeKind.MUTED: "muted",
    NoticeKind.UNMUTED: "unmuted",
    NoticeKind.WORKER_ERROR: "worker error",
    NoticeKind.WORKER_DOWN: "worker down",
    NoticeKind.WORKER_RESTARTED: "worker restarted",
    NoticeKind.LATE_WORDS: "late words",
    NoticeKind.NOT_UNDERSTOOD: "speech not understood",
    NoticeKind.PERSON_CHANGED: "person changed",
    NoticeKind.SOURCE_ENDED: "source ended",
    NoticeKind.FELL_BACK_TO_CPU: "fell back to CPU",
    NoticeKind.PAUSED: "paused",
    NoticeKind.RESUMED: "resumed",
    NoticeKind.DEGRADED: "degraded",
    NoticeKind.RECOVERED: "recovered",
    NoticeKind.MARK: "mark",
    NoticeKind.CALIBRATED: "calibrated",
    NoticeKind.NOT_CALIBRATED: "not calibrated",
    NoticeKind.STOPPING: "stopping",
}
"""The text of a notice that has no sentence of its own."""

EMOTION_COLOURS = {
    "angry": "#d55e00",
    "disgust": "#009e73",
    "fear": "#cc79a7",
    "happy": "#e69f00",
    "sad": "#0072b2",
    "surprise": "#56b4e9",
    "neutral": "#8c8c8c",
}
"""The colours of Okabe and Ito, which colour-blind people can tell apart."""
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
"""Paul Tol's muted colours, for labels of a recognizer that somebody trained."""
OTHER_COLOUR = "#8c8c8c"


def name(modality: str) -> str:
    """Return what people call a modality; an unknown one keeps the publisher's name."""
    known = MODALITY_LOOKS.get(modality)
    return modality if known is None else known.text


def notice_text(kind: str, detail: str) -> str:
    """Return the text of a notice: its sentence, or else what its kind is called."""
    return detail or NOTICE_TEXTS.get(kind, kind)


def emotion_colour(label: str) -> str:
    """Return the label's `#rrggbb`, which is always the same; unknown labels may look alike."""
    if not label:
        return OTHER_COLOUR
    own = OWN_COLOURS[zlib.crc32(label.encode()) % len(OWN_COLOURS)]
    return EMOTION_COLOURS.get(label, own)


def look(cause: str) -> Look:
    """Return how a cause is shown; an unknown one, of a newer publisher, is shown by its name."""
    return CAUSE_LOOKS.get(cause) or Look(cause, "?", OTHER_COLOUR)


def reason(modality: str, cause: str) -> str:
    """Return in words why the modality is missing, such as `microphone muted` or `no face`."""
    known = MODALITY_LOOKS.get(modality)
    if cause == Cause.NO_TRACK:
        return f"no {modality if known is None else known.track} in the clip"
    if cause in OF_DEVICE:
        return OF_DEVICE[cause].format(modality if known is None else known.device)
    return look(cause).text


def ink(colour: str) -> str:
    """Return black or white, whichever is easier to read on `#rrggbb`."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    light = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2
    return "#000000" if light > 0.18 else "#ffffff"  # at 0.18 both are equally easy to read
