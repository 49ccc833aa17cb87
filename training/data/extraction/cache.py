"""Reads a cache of extracted clips: a folder with rows in flat files that are mapped, not read.

- `face.npy`, `voice.npy` and `text.npy` hold float32 [steps, dim]: the rows of all clips' steps,
  clip after clip, zero where there is a gap. `gaps.npy` holds uint8 [steps, modalities]: indices
  into the manifest's `gaps`.
- `clips.jsonl` has a line for each finished clip: where its rows are, the size and time of its
  file, and its words as [text, begin_ns, end_ns]. If a clip has several lines, the last one counts.
- `manifest.json` holds a `Manifest`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dacite
import numpy as np
from numpy.typing import NDArray

from normtr.cause import Cause
from normtr.errors import UserError
from normtr.spec import MODALITIES, FeatureSpec, SpecError
from normtr.text import TimedWord
from normtr.whole_file import whole_file

FORMAT = 1
"""The version of this layout, which the manifest names."""
MANIFEST, CLIPS, GAPS = "manifest.json", "clips.jsonl", "gaps.npy"


@dataclass(frozen=True)
class CacheFeatures:
    """How rows were made, and of which modalities; a cache holds rows of equal features only."""

    spec: FeatureSpec
    spec_sha256: str
    checkpoint_sha256: str
    """The hash of the recognizer whose networks made the rows."""
    modalities: tuple[str, ...]
    """The modalities that have rows; the others were off."""
    gaps: tuple[str, ...]
    """The causes by the numbers in gaps.npy; 0 is `none`."""

    @property
    def widths(self) -> dict[str, int]:
        """The width of a row, by modality."""
        return {m: self.spec.dims[m] for m in self.modalities}


@dataclass(frozen=True)
class Place:
    """Where a clip's rows are: steps [offset, offset + steps) of the flat files."""

    offset: int
    steps: int


@dataclass(frozen=True)
class Labelled:
    """A clip with its entry in the table of labels."""

    id: str
    """The path of its file inside the folder of media."""
    split: str
    label: str | float
    """One of the classes, or a number."""
    person: str


@dataclass(frozen=True)
class Manifest:
    """What a cache holds."""

    features: CacheFeatures
    classes: tuple[str, ...] | None
    """The names of the classes, sorted; None when labels are numbers."""
    clips: tuple[tuple[Labelled, Place], ...]
    skipped: Mapping[str, str]
    """The reason for each clip that has no rows."""
    sizes: Mapping[str, int]
    """The size of each file in bytes."""


class CacheError(UserError):
    """A cache is missing, damaged or does not fit."""


@dataclass(frozen=True)
class Cache:
    """A finished cache, opened."""

    path: Path
    manifest: Manifest

    def rows(self, modality: str) -> NDArray[np.float32]:
        """Return the rows of all clips, float32 [steps, dim], mapped."""
        return self._mapped(f"{modality}.npy")

    def gaps(self) -> NDArray[np.uint8]:
        """Return the numbers of all gap causes, uint8 [steps, modalities], mapped."""
        return self._mapped(GAPS)

    def words(self) -> dict[str, tuple[TimedWord, ...]]:
        """Return the words of each clip by its id; times are ns from the clip's start.

        Raises CacheError when they cannot be read.
        """
        try:
            with (self.path / CLIPS).open(encoding="utf-8") as file:
                return {
                    line["id"]: tuple(
                        TimedWord(str(t), int(b), int(e)) for t, b, e in line["words"]
                    )
                    for line in map(json.loads, file)
                }
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CacheError(f"{self.path / CLIPS} cannot be read: {error}.") from None

    def _mapped(self, name: str) -> NDArray[Any]:
        try:
            array: NDArray[Any] = np.load(self.path / name, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise CacheError(f"{self.path / name} cannot be read: {error}.") from None
        return array


def files(features: CacheFeatures) -> dict[str, tuple[str, int]]:
    """Return the dtype and width of each flat file by its name."""
    rows = {f"{m}.npy": ("<f4", dim) for m, dim in features.widths.items()}
    return {**rows, GAPS: ("|u1", len(MODALITIES))}


def open_cache(path: Path) -> Cache:
    """Open a finished cache. Raises CacheError when it is no cache, is damaged or is cut off."""
    manifest = read_manifest(path)
    for name, size in manifest.sizes.items():
        found = (path / name).stat().st_size if (path / name).is_file() else None
        if found != size:
            has = "is missing" if found is None else f"has {found} bytes"
            raise CacheError(f"{path / name} {has}, not the manifest's {size}; extract it again.")
    cache = Cache(path, manifest)
    steps = len(cache.gaps())
    for name, (dtype, width) in files(manifest.features).items():
        array = cache._mapped(name)
        if array.dtype != np.dtype(dtype) or array.shape != (steps, width):
            raise CacheError(f"{path / name} does not hold what the manifest says.")
    if any(not 0 <= p.offset <= p.offset + p.steps <= steps for _, p in manifest.clips):
        raise CacheError(f"the manifest of {path} names steps that its files do not have.")
    return cache


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of a cache, finished or not. Raises CacheError when it cannot be used."""
    try:
        content = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("no JSON object")
    except FileNotFoundError:
        raise CacheError(f"{path} is no cache: it has no {MANIFEST}.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise CacheError(f"the manifest of {path} is damaged ({error}).") from None
    if content.get("format") != FORMAT:
        has = content.get("format")
        raise CacheError(f"{path} has format {has!r}; this version reads {FORMAT}.")
    try:
        features = dacite.from_dict(
            CacheFeatures,
            {**content["features"], "spec": FeatureSpec.from_dict(content["features"]["spec"])},
            dacite.Config(cast=[tuple], strict=True),
        )
        manifest = Manifest(
            features,
            None if content["classes"] is None else tuple(map(str, content["classes"])),
            tuple(_clips(content["clips"])),
            {str(clip): str(reason) for clip, reason in content["skipped"].items()},
            {str(name): int(size) for name, size in content["sizes"].items()},
        )
        _check(manifest)
    except SpecError as error:
        raise CacheError(f"{path} has other features than this version: {error}.") from None
    except (KeyError, TypeError, ValueError, AttributeError, dacite.DaciteError) as error:
        raise CacheError(f"the manifest of {path} does not fit: {error}.") from None
    return manifest


def write_manifest(path: Path, manifest: Manifest) -> None:
    features = {**vars(manifest.features), "spec": manifest.features.spec.to_dict()}
    content = {
        "format": FORMAT,
        "features": features,
        "classes": manifest.classes,
        "clips": [{**vars(clip), **vars(place)} for clip, place in manifest.clips],
        "skipped": manifest.skipped,
        "sizes": manifest.sizes,
    }
    with whole_file(path / MANIFEST) as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _clips(found: list[dict[str, Any]]) -> Iterator[tuple[Labelled, Place]]:
    for clip in found:
        label = clip["label"] if isinstance(clip["label"], str) else float(clip["label"])
        yield (
            Labelled(str(clip["id"]), str(clip["split"]), label, str(clip["person"])),
            Place(int(clip["offset"]), int(clip["steps"])),
        )


def _check(manifest: Manifest) -> None:
    features = manifest.features
    if features.spec.sha256() != features.spec_sha256:
        raise ValueError("its feature specification was changed")
    if features.gaps[:1] != (Cause.NONE,) or not set(features.modalities) <= set(MODALITIES):
        raise ValueError("it names unknown gaps or modalities")
    known = None if manifest.classes is None else set(manifest.classes)
    for clip, _ in manifest.clips:
        if isinstance(clip.label, str) != (known is not None) or (
            known and clip.label not in known
        ):
            raise ValueError(f"{clip.id} has the label {clip.label!r}")
