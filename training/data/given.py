"""Features that somebody else extracted: what the loaders of their files have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from normtr.errors import UserError
from training.samples import Samples, Split

Rows = NDArray[np.floating[Any]]
There = NDArray[np.bool_]
KEYS = {"face": "vision", "voice": "audio", "text": "text"}
"""The names of our modalities in pickles of CMU's and MMSA's kind."""


@dataclass(frozen=True)
class Given:
    """A data set at `path` whose text, if any, is given as rows and not as words."""

    path: Path

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The names of the classes in the order of the labels; None when labels are numbers."""
        return None

    @property
    def outputs(self) -> int:
        """The number of classes, or 1 when labels are numbers."""
        return 1 if self.classes is None else len(self.classes)

    def at(self, path: Path) -> Self:
        return replace(self, path=path)

    def without_words(self, split: Split, rate: float, seed: int) -> Samples:
        raise UserError("the given features have no words to erase; use --mask-stage feature.")


def arrays(path: Path, keys: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return the arrays `keys` of an .npz file.

    Raises UserError when it lacks one or cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            return {key: data[key] for key in keys}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise UserError(f"{path} cannot be read: {error}.") from None


@contextmanager
def layout(path: Path) -> Iterator[None]:
    """Raise UserError when the code within fails because the file's content has another layout."""
    try:
        yield
    except (AttributeError, KeyError, ValueError, TypeError, IndexError) as error:
        raise UserError(f"{path} has not the layout it should have: {error!r}.") from None


def check(
    path: Path, ids: Sequence[str], labels: NDArray[Any], rows: Mapping[str, NDArray[Any]]
) -> None:
    """Raise UserError, with the clip's id, unless every clip has a label and rows.

    `labels` [n] are classes if they are integers, and values if they are floats; a negative class,
    NaN and inf mean that there is no label. `rows` are [n, t, dim] by modality.
    """
    for what, found in (("label", labels), *((f"{m} row", x) for m, x in rows.items())):
        if len(found) != len(ids):
            known = len(found) < len(ids)
            clip = f", {ids[len(found)]} the first without" if known else ""
            raise UserError(f"{path} has {len(ids)} clips and {len(found)} {what}s{clip}.")
    missing = labels < 0 if labels.dtype.kind == "i" else ~np.isfinite(labels)
    if missing.any():
        raise UserError(f"{path} has no label for {ids[int(missing.argmax())]}.")


def there(rows: Rows) -> There:
    """Return which rows of [n, t, dim] are not all zero, bool [n, t].

    A row of zeros is padding, or nothing was found there.
    """
    return np.asarray((rows != 0).any(axis=2))


def to_steps(
    rows: Mapping[str, Rows], valid: Mapping[str, There], steps: int
) -> tuple[dict[str, Rows], dict[str, There]]:
    """Fit rows [n, t, dim] and validity [n, t] by modality, whose t may differ, to T = `steps`.

    A modality with t <= T keeps its rows where they are, and the steps beyond them are not valid.
    With t > T, the extent of a clip (from its first to its last valid row) is moved to the front.
    Modalities that all have the same t have one extent together. An extent longer than T is cut
    into T slices of equal length: a step's row is the mean of a slice's valid rows, and it is not
    valid if there are none. Rows with NaN or inf are not valid.
    """
    valid = {m: valid[m] & np.isfinite(x).all(axis=2) for m, x in rows.items()}
    aligned = len({x.shape[1] for x in rows.values()}) == 1
    together = np.any(list(valid.values()), axis=0) if aligned else None
    fitted, kept = {}, {}
    for m, x in rows.items():
        n, t, dim = x.shape
        fitted[m], kept[m] = np.zeros((n, steps, dim), np.float32), np.zeros((n, steps), np.bool_)
        if t <= steps:
            fitted[m][:, :t], kept[m][:, :t] = x, valid[m]
            continue
        for i, extent in enumerate(valid[m] if together is None else together):
            where = np.flatnonzero(extent)
            if not len(where):
                continue
            first, length = where[0], where[-1] + 1 - where[0]
            count = min(length, steps)
            starts = first + np.arange(count) * length // count
            good = valid[m][i, : where[-1] + 1]
            counts = np.add.reduceat(good, starts, dtype=np.int64)
            sums = np.add.reduceat(np.where(good[:, None], x[i, : len(good)], 0), starts)
            fitted[m][i, :count] = sums / np.maximum(counts, 1)[:, None]
            kept[m][i, :count] = counts > 0
    return fitted, kept
