"""Media files of people whose emotion their names or a table tell."""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from normtr.errors import UserError
from normtr.spec import LABELS
from training.data import javanese, ravdess
from training.data.files_inside import files_inside

KINDS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg")


@dataclass(frozen=True)
class LabelledClip:
    """A media file in which one person shows one emotion."""

    path: Path
    label: int
    """Index into `normtr.spec.LABELS`."""
    person: str


@dataclass(frozen=True)
class Names:
    """How the files of a corpus are named."""

    pattern: re.Pattern[str]
    """It has the groups `person` and `emotion`."""
    emotions: dict[str, str]
    """The label that each code of an emotion stands for."""


JAVANESE = Names(javanese.NAME, javanese.EMOTIONS)
RAVDESS = Names(
    re.compile(r"0[12]-0[12]-(?P<emotion>0[1-8])(-\d\d){3}-(?P<person>\d\d)"),
    ravdess.EMOTIONS | {"02": "neutral"},
)
"""Modality, channel, emotion, intensity, statement, repetition and actor; calm counts as neutral."""


def load(folder: Path, table: Path | None) -> list[LabelledClip]:
    """Return the clips of a folder, sorted.

    `table` is a CSV with the columns clip (a path inside the folder), label and person; None means
    that labels and people are told by the names of the files, as in the Javanese corpus or in
    RAVDESS. Raises UserError for a clip without a label, and for an empty folder.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {str(folder)!r}.")
    clips = sorted(_listed(folder, table) if table else _named(folder), key=lambda c: c.path)
    if not clips:
        raise UserError(f"{folder} has no clips ({', '.join(KINDS)}).")
    return clips


def _named(folder: Path) -> Iterator[LabelledClip]:
    for path in files_inside(folder, KINDS):
        for names in (JAVANESE, RAVDESS):
            if found := names.pattern.fullmatch(path.stem):
                label = LABELS.index(names.emotions[found["emotion"]])
                yield LabelledClip(path, label, found["person"])
                break
        else:
            raise UserError(
                f"the name of {path} tells no label; give a CSV with the columns clip, label and "
                "person by --labels."
            )


def _listed(folder: Path, table: Path) -> Iterator[LabelledClip]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, skipinitialspace=True, strict=True))
    except (OSError, ValueError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"the table {table} cannot be read: {reason}.") from None
    for line, row in enumerate(rows, 2):
        clip, label, person = ((row.get(k) or "").strip() for k in ("clip", "label", "person"))
        if not (clip and label and person):
            raise UserError(f"{table}, line {line}: clip, label or person is missing.")
        if label not in LABELS:
            near = difflib.get_close_matches(label, LABELS, n=1, cutoff=0.5)
            raise UserError(
                f"{table}, line {line}: the label {label!r} is none of {', '.join(LABELS)}"
                + (f"; the nearest is {near[0]}." if near else ".")
            )
        if not (folder / clip).is_file():
            raise UserError(f"{table}, line {line}: there is no file {folder / clip}.")
        yield LabelledClip(folder / clip, LABELS.index(label), person)
