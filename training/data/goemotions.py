"""GoEmotions: written comments with one or more of seven emotions (Demszky et al., ACL 2020)."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from normtr.errors import UserError
from normtr.spec import LABELS

EMOTIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
"""Our names of the labels, by their number in the tables."""


@dataclass(frozen=True)
class Comment:
    """A comment and its labels."""

    text: str
    labels: tuple[int, ...]
    """Indices into `normtr.spec.LABELS`; at least one."""
    name: str

    @property
    def held_out(self) -> bool:
        """Whether this is of the tenth of the training part that chooses thresholds."""
        return hashlib.sha256(self.name.encode()).digest()[0] % 10 == 0


def holds(comments: Sequence[Comment]) -> NDArray[np.bool_]:
    """Return which labels hold, bool [n, C]."""
    return np.array([[label in c.labels for label in range(len(LABELS))] for c in comments])


def is_table(path: Path) -> bool:
    """Return whether the file's first line is a comment, label numbers and an id, with tabs."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            row = next(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE), [])
    except (OSError, ValueError):
        return False
    return len(row) == 3 and row[1].replace(",", "").isdigit()


def load(path: Path) -> list[Comment]:
    """Return the comments of a table such as `train.tsv` that have words.

    Raises UserError when the file is missing, or a line has another form or an unknown label.
    """
    found = []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            for number, row in enumerate(rows, 1):
                found.append(_comment(row, f"line {number} of {path}"))
    except FileNotFoundError:
        raise UserError(f"there is no {path}; name the data folder in the config.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}.") from None
    return [comment for comment in found if comment.text.split()]


def _comment(row: list[str], place: str) -> Comment:
    if len(row) != 3:
        raise UserError(f"{place} is not a comment, label numbers and an id, with tabs between.")
    text, numbers, name = row
    try:
        labels = tuple(sorted({LABELS.index(EMOTIONS[int(n)]) for n in numbers.split(",")}))
    except (ValueError, IndexError):
        raise UserError(f"{place} has the labels {numbers!r}; they are numbers 0 to 6.") from None
    return Comment(text, labels, name)
