"""Reads the CSV that names each clip's split, label and person."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import get_args

from normtr.errors import UserError
from training.data.extraction.cache import Labelled
from training.samples import Split

COLUMNS = ("clip", "split", "label", "person")


@dataclass(frozen=True)
class Table:
    """The clips in the order of the file."""

    clips: tuple[Labelled, ...]
    classes: tuple[str, ...] | None
    """The names of the classes, sorted; None when labels are numbers."""

    def people_in_two_splits(self) -> list[str]:
        splits: dict[str, set[str]] = {}
        for clip in self.clips:
            splits.setdefault(clip.person, set()).add(clip.split)
        return sorted(person for person, found in splits.items() if len(found) > 1)


def read(path: Path, regression: bool) -> Table:
    """Read the columns clip, split, label and person; others are ignored.

    `clip` is a file's path inside the folder of media. Labels are numbers with `regression`, or if
    all of them can be read as numbers and one is not whole; otherwise they are names of classes.
    Raises UserError, with the number of the line, when the table cannot be used.
    """
    clips: dict[str, tuple[int, Labelled]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for line, clip in _rows(path, file):
                if clip.id in clips:
                    raise UserError(f"{path}: lines {clips[clip.id][0]} and {line} are one clip.")
                clips[clip.id] = line, clip
    except (OSError, ValueError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"the table {path} cannot be read: {reason}.") from None
    if not clips:
        raise UserError(f"{path} names no clips.")
    numbers = [_number(clip.label) for _, clip in clips.values()]
    if regression or _are_numbers(numbers):
        for (line, clip), number in zip(clips.values(), numbers, strict=True):
            if number is None or not math.isfinite(number):
                raise UserError(f"{path}, line {line}: the label {clip.label!r} is no number.")
        labelled = zip(clips.values(), numbers, strict=True)
        return Table(tuple(replace(clip, label=n or 0.0) for (_, clip), n in labelled), None)
    classes = sorted({str(clip.label) for _, clip in clips.values()})
    if len(classes) < 2:
        raise UserError(f"{path} has one class only, {classes[0]!r}; --regression makes numbers.")
    return Table(tuple(clip for _, clip in clips.values()), tuple(classes))


def _rows(path: Path, file: Iterator[str]) -> Iterator[tuple[int, Labelled]]:
    reader = csv.DictReader(file, skipinitialspace=True, strict=True)
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise UserError(f"{path} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}.")
    for row in reader:
        cells = {name: (row[name] or "").strip() for name in COLUMNS}
        for name in COLUMNS:
            if not cells[name]:
                who = f" of {cells['clip']}" if cells["clip"] else ""
                raise UserError(f"{path}, line {reader.line_num}: the {name}{who} is missing.")
        place = PurePosixPath(cells["clip"])
        if place.is_absolute() or ".." in place.parts:
            raise UserError(f"{path}, line {reader.line_num}: {place} is outside of the folder.")
        if cells["split"] not in get_args(Split):
            known = ", ".join(get_args(Split))
            raise UserError(
                f"{path}, line {reader.line_num}: the split is one of {known}, "
                f"not {cells['split']!r}."
            )
        yield (
            reader.line_num,
            Labelled(str(place), cells["split"], cells["label"], cells["person"]),
        )


def _number(label: str | float) -> float | None:
    try:
        return float(label)
    except ValueError:
        return None


def _are_numbers(numbers: list[float | None]) -> bool:
    return all(n is not None for n in numbers) and any(n is not None and n % 1 for n in numbers)
