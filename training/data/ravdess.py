"""RAVDESS speech: two sentences spoken by 24 actors (Livingstone & Russo, PLoS ONE, 2018).

File names are `03-01-EE-II-SS-RR-AA`: emotion, intensity, statement, repetition, actor.
"""

from __future__ import annotations

from pathlib import Path

from normtr.errors import UserError
from normtr.spec import LABELS
from training.data.speech import Clip, files

EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}


def load(folder: Path, calm_is_neutral: bool) -> list[Clip]:
    """Return the clips of `folder/Actor_NN/*.flac`; speaker `17` is actor 17.

    The emotion `calm`, which is not among our labels, becomes neutral if `calm_is_neutral`, and is
    left out otherwise. Raises UserError for a missing folder or a file name of another form.
    """
    clips = []
    for path in files(folder, ".flac"):
        fields = path.stem.split("-")
        if len(fields) != 7 or fields[2] not in EMOTIONS:
            raise UserError(f"{path} is not named like a RAVDESS clip (03-01-EE-II-SS-RR-AA).")
        emotion = EMOTIONS[fields[2]]
        if emotion == "calm":
            if not calm_is_neutral:
                continue
            emotion = "neutral"
        clips.append(Clip(path, LABELS.index(emotion), fields[6], "ravdess"))
    return clips
