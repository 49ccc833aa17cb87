"""EmoDB, the Berlin database of emotional speech, German (Burkhardt et al., Interspeech 2005).

File names are `SStttEv`: speaker, text, emotion, version.
"""

from __future__ import annotations

from pathlib import Path

from normtr.errors import UserError
from normtr.spec import LABELS
from training.data.speech import Clip, files

EMOTIONS = {
    "W": "angry",
    "E": "disgust",
    "A": "fear",
    "F": "happy",
    "T": "sad",
    "N": "neutral",
}


def load(folder: Path) -> list[Clip]:
    """Return the clips of `folder/**/*.flac`, without boredom (L), which is not among our labels.

    Raises UserError for a missing folder or a file name of another form.
    """
    clips = []
    for path in files(folder, ".flac"):
        letter = path.stem[5:6]
        if len(path.stem) != 7 or letter not in (*EMOTIONS, "L"):
            raise UserError(f"{path} is not named like an EmoDB clip (SStttEv).")
        if letter != "L":
            label = LABELS.index(EMOTIONS[letter])
            clips.append(Clip(path, label, path.stem[:2], "emodb"))
    return clips
