"""Reads a folder of acted speech, whichever of the known corpora its file names tell."""

from __future__ import annotations

import re
from pathlib import Path

from normtr.errors import UserError
from training.data import emodb, emovo, javanese, ravdess
from training.data.speech import Clip


def load(folder: Path) -> list[Clip]:
    """Return the clips of a folder of RAVDESS actors, of EmoDB, of EMOVO, or of Javanese speakers.

    In RAVDESS calm counts as neutral. Raises UserError when the names are of none of these, of
    several, or when there is no sound.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {str(folder)!r}.")
    if any(folder.glob("Actor_*")):
        return ravdess.load(folder, calm_is_neutral=True)
    first = min(
        (p for p in folder.rglob("*") if p.suffix in (".flac", *javanese.KINDS)), default=None
    )
    if first is None:
        raise UserError(f"{folder} has no sound (.flac, .ogg, .mp4).")
    if javanese.NAME.fullmatch(first.stem):
        return javanese.load(folder)
    if re.fullmatch(r"\d\d[ab]\d\d[A-Z][a-z]", first.stem):
        return emodb.load(folder)
    if first.stem.split("-")[0] in emovo.EMOTIONS:
        return emovo.load(folder)
    raise UserError(
        f"the name of {first} tells no emotion; known are the names of RAVDESS (Actor_NN/...), "
        "EmoDB, EMOVO and the Javanese corpus."
    )
