"""EMOVO, the Italian corpus of acted emotional speech (Costantini et al., LREC 2014).

File names are `EEE-SS-TT`: emotion, speaker, sentence.
"""

from __future__ import annotations

from pathlib import Path

from normtr.errors import UserError
from normtr.spec import LABELS
from training.data.speech import Clip, files

EMOTIONS = {
    "rab": "angry",
    "dis": "disgust",
    "pau": "fear",
    "gio": "happy",
    "tri": "sad",
    "sor": "surprise",
    "neu": "neutral",
}


def load(folder: Path) -> list[Clip]:
    """Return the clips of `folder/**/*.ogg`.

    Raises UserError for a missing folder or a file name of another form.
    """
    clips = []
    for path in files(folder, ".ogg"):
        emotion, *rest = path.stem.split("-")
        if len(rest) != 2 or emotion not in EMOTIONS:
            raise UserError(f"{path} is not named like an EMOVO clip (EEE-SS-TT).")
        clips.append(Clip(path, LABELS.index(EMOTIONS[emotion]), rest[0], "emovo"))
    return clips
