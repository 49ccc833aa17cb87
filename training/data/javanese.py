"""Ten Javanese speakers who act emotions, seen and heard: clips, and more takes that are only heard.

File names are `AA-BB-CC_DD`: person, sentence, emotion, take. The corpus is that of the repositories
`video-emotion-recognition-javanese` and `sound-emotion-recognition-javanese` of 2black0 on GitHub.
"""

from __future__ import annotations

import re
from pathlib import Path

from normtr.errors import UserError
from normtr.spec import LABELS
from training.data.files_inside import files_inside
from training.data.speech import Clip

NAME = re.compile(r"(?P<person>\d\d)-(?P<sentence>\d\d)-(?P<emotion>0[1-6])_(?P<take>\d\d)")
EMOTIONS = {
    "01": "neutral",
    "02": "sad",
    "03": "happy",
    "04": "surprise",
    "05": "fear",
    "06": "angry",
}
KINDS = (".mp4", ".ogg")


def load(folder: Path) -> list[Clip]:
    """Return the voices in all .ogg and .mp4 files of the folder and of those inside it.

    Raises UserError for a folder without such files or a file name of another form.
    """
    clips = []
    for path in files_inside(folder, KINDS):
        found = NAME.fullmatch(path.stem)
        if found is None:
            raise UserError(f"{path} is not named like a Javanese clip (AA-BB-CC_DD).")
        label = LABELS.index(EMOTIONS[found["emotion"]])
        clips.append(Clip(path, label, found["person"], "javanese"))
    if not clips:
        raise UserError(f"there are no {' or '.join(KINDS)} files in {folder}.")
    return clips
