"""Writes a cache clip after clip: in OUT.partial while it grows, and OUT once it is finished."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from normtr.errors import UserError
from normtr.whole_file import partial_of
from training.data.extraction.cache import (
    CLIPS,
    GAPS,
    CacheError,
    CacheFeatures,
    Labelled,
    Manifest,
    Place,
    files,
    read_manifest,
    write_manifest,
)
from training.data.extraction.clip_features import ClipFeatures


@dataclass(frozen=True)
class Version:
    """The size and time of a clip's file; a clip is extracted again when they have changed."""

    bytes: int
    mtime_ns: int
    """When the file was last changed."""

    @staticmethod
    def of(path: Path) -> Version:
        stat = path.stat()
        return Version(stat.st_size, stat.st_mtime_ns)


class GrowingCache:
    """Begins a cache, or opens a finished or interrupted one, and appends clips to it.

    A clip counts once its line is in clips.jsonl; what was written after the last whole line is
    cut off. The old rows of a clip that is extracted again stay in the files, unused. Raises
    CacheError when `out` holds no cache or one of other features, and UserError when it cannot be
    written.
    """

    def __init__(self, out: Path, features: CacheFeatures) -> None:
        self._out, self._features = out, features
        self._path = partial_of(out)
        self._files: dict[str, BinaryIO] = {}
        self._finished: dict[str, tuple[Place, Version]] = {}
        with _writing(self._path):
            if out.exists() and self._path.exists():
                raise CacheError(f"both {out} and {self._path} are there; remove one of them.")
            for there in (out, self._path):
                if there.exists() and read_manifest(there).features != features:
                    raise CacheError(
                        f"{there} was extracted with another checkpoint or other settings; "
                        "remove it, or give another --out."
                    )
            self._as_it_was = out.exists()
            if out.exists():
                out.rename(self._path)
            elif not self._path.exists():
                self._begin()
            self._steps = self._reopen()

    def _begin(self) -> None:
        """Make an empty cache.

        It is made under another name and then renamed, so that OUT.partial always has a manifest.
        """
        new = self._out.parent / f"{self._out.name}.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        for name, (dtype, width) in files(self._features).items():
            with (new / name).open("wb") as file:
                _write_header(file, dtype, 0, width)
        (new / CLIPS).touch()
        write_manifest(new, Manifest(self._features, None, (), {}, {}))
        new.rename(self._path)

    def _reopen(self) -> int:
        """Open the files, cut them after the last finished clip, and return how many steps stay."""
        flat = files(self._features)
        steps = {}
        for name, (dtype, width) in flat.items():
            self._files[name] = (self._path / name).open("r+b")
            begin = _header_bytes(self._files[name], self._path / name)
            steps[name] = ((self._path / name).stat().st_size - begin) // _row_bytes(dtype, width)
        index = self._files[CLIPS] = (self._path / CLIPS).open("r+b")
        end = kept = 0
        for line in index:
            try:
                entry = json.loads(line)
                place = Place(int(entry["offset"]), int(entry["steps"]))
                version = Version(int(entry["bytes"]), int(entry["mtime_ns"]))
                clip = str(entry["id"])
            except (ValueError, KeyError, TypeError):
                break
            if not line.endswith(b"\n") or place.offset + place.steps > min(steps.values()):
                break
            self._finished[clip] = place, version
            end, kept = place.offset + place.steps, kept + len(line)
        index.seek(kept)
        index.truncate()
        for name, (dtype, width) in flat.items():
            file = self._files[name]
            file.seek(_header_bytes(file, self._path / name) + end * _row_bytes(dtype, width))
            file.truncate()
        return end

    def __enter__(self) -> GrowingCache:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Close the files.

        An unfinished cache stays as OUT.partial, but is deleted if it has no clip. One that was
        opened and not changed gets its name OUT again.
        """
        for file in self._files.values():
            with suppress(OSError):  # a clip that is not whole is cut off at the next start
                file.close()
        if not self._path.exists():
            return
        if self._as_it_was:
            self._path.rename(self._out)
        elif not self._finished:
            shutil.rmtree(self._path)

    def has(self, clip: str, version: Version) -> bool:
        return clip in self._finished and self._finished[clip][1] == version

    def add(self, clip: str, version: Version, found: ClipFeatures) -> None:
        """Append a clip: first its rows, then its line.

        Raises UserError when it cannot be written, CacheError when another program writes, too.
        """
        place = Place(self._steps, len(found.gaps))
        parts: dict[str, NDArray[Any]] = {f"{m}.npy": x for m, x in found.rows.items()}
        parts[GAPS] = found.gaps
        words = [[word.text, word.begin_ns, word.end_ns] for word in found.words]
        line = {"id": clip, **vars(place), **vars(version), "words": words}
        self._as_it_was = False
        with _writing(self._path):
            for name, (dtype, width) in files(self._features).items():
                file = self._files[name]
                if os.fstat(file.fileno()).st_size != file.tell():
                    raise CacheError(f"another program writes to {self._path}.")
                part = np.ascontiguousarray(parts[name], dtype)
                assert part.shape == (place.steps, width)
                file.write(part.data)
                file.flush()
            self._files[CLIPS].write(json.dumps(line).encode() + b"\n")
            self._files[CLIPS].flush()
        self._finished[clip] = place, version
        self._steps += place.steps

    def finish(
        self,
        clips: tuple[Labelled, ...],
        classes: tuple[str, ...] | None,
        skipped: Mapping[str, str],
    ) -> Manifest:
        """Write the manifest of the `clips` that are not `skipped`, and name the folder OUT.

        Raises UserError when it cannot be written.
        """
        self._as_it_was = False
        with _writing(self._path):
            for name, (dtype, width) in files(self._features).items():
                self._files[name].seek(0)
                _write_header(self._files[name], dtype, self._steps, width)
            for file in self._files.values():
                file.flush()
                os.fsync(file.fileno())
            manifest = Manifest(
                self._features,
                classes,
                tuple((c, self._finished[c.id][0]) for c in clips if c.id not in skipped),
                skipped,
                {name: (self._path / name).stat().st_size for name in self._files},
            )
            write_manifest(self._path, manifest)
            self._path.rename(self._out)
        return manifest


def _write_header(file: BinaryIO, dtype: str, steps: int, width: int) -> None:
    """Write the header of an .npy file.

    numpy leaves room in it, so that it keeps its length while the first axis grows.
    """
    header = {"descr": dtype, "fortran_order": False, "shape": (steps, width)}
    np.lib.format.write_array_header_1_0(file, header)


def _header_bytes(file: BinaryIO, path: Path) -> int:
    try:
        file.seek(0)
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
    except ValueError:
        raise CacheError(f"{path} is damaged; remove the folder and begin again.") from None
    return file.tell()


def _row_bytes(dtype: str, width: int) -> int:
    return np.dtype(dtype).itemsize * width


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Raise UserError with one sentence when writing fails, above all because the disk is full."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"{path} cannot be written: {reason}; the finished clips stay.") from None
