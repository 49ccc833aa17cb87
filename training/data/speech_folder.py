"""Reads a folder of acted speech, whichever of the known corpora its file names tell."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from normtr.errors import UserError
from training.data import emodb, emovo, javanese, ravdess
from training.data.files_inside import files_inside
from training.data.speech import Clip

KINDS = (".flac", *javanese.KINDS)


@dataclass(frozen=True)
class Corpus:
    """How the files of a corpus are named, and what reads its folder."""

    name: re.Pattern[str]
    load: Callable[[Path], list[Clip]]


CORPORA = (
    Corpus(re.compile(r"03-\d\d(-\d\d){5}"), lambda folder: ravdess.load(folder, True)),
    Corpus(re.compile(r"\d\d[ab]\d\d[A-Z][a-z]"), emodb.load),
    Corpus(re.compile(rf"({'|'.join(emovo.EMOTIONS)})-\w+-\w+"), emovo.load),
    Corpus(javanese.NAME, javanese.load),
)


def load(folder: Path) -> list[Clip]:
    """Return the clips of a folder of RAVDESS actors, of EmoDB, of EMOVO, or of Javanese speakers.

    In RAVDESS calm counts as neutral. Raises UserError when the names are of none of these or of
    several, and when there is no sound.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {str(folder)!r}.")
    sounds = files_inside(folder, KINDS)
    if not sounds:
        raise UserError(f"{folder} has no sound ({', '.join(KINDS)}).")
    corpus = next((c for c in CORPORA if c.name.fullmatch(sounds[0].stem)), None)
    if corpus is None:
        raise UserError(
            f"the name of {sounds[0]} tells no emotion; known are the names of RAVDESS, EmoDB, "
            "EMOVO and the Javanese corpus."
        )
    for path in sounds:
        if not corpus.name.fullmatch(path.stem):
            raise UserError(
                f"{path} is not named like {sounds[0].name}; give one corpus at a time."
            )
    return corpus.load(folder)
