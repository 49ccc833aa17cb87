"""`normtr extract`: media files and a table of labels -> a cache of rows to train on."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from tqdm import tqdm

from normtr import checkpoint
from normtr.config import parse
from normtr.errors import UsageError, UserError
from normtr.spec import MODALITIES
from training.extraction import clip_table
from training.extraction.cache import Features, Manifest
from training.extraction.cache_writer import GrowingCache, Version
from training.extraction.clip_features import GAP_NAMES, ClipEncoder, Unusable
from training.extraction.clip_table import Table
from training.processes import spread

NAMED = 5
"""So many are named where many could be."""


@dataclass(frozen=True)
class Extract:
    """Compute the rows of clips as they are computed live, into a cache to train on."""

    media: Path
    """Folder of the clips."""
    labels: Path
    """CSV with the columns clip (path inside the folder), split (train, valid or test), label
    (numbers, if all can be read as such and one is not whole; else classes), person."""
    out: Path
    """Folder of the cache; a stopped extraction goes on, a finished one is brought up to date."""
    checkpoint: Path = checkpoint.SHIPPED
    """Folder of the recognizer whose networks make the rows."""
    text: Literal["on", "off"] = "on"
    """Whether speech is transcribed (English)."""
    jobs: int | None = None
    """Processes, each of about 1 GB; without it one a core."""
    regression: bool = False
    """Labels are numbers even if all are whole."""
    shared_people: bool = False
    """Let a person be in two splits."""


def run(argv: list[str]) -> int:
    config = parse(Extract, argv, "extract")
    if config.jobs is not None and config.jobs < 1:
        raise UsageError(f"--jobs must be at least 1, not {config.jobs}.")
    if not config.media.is_dir():
        raise UserError(f"there is no folder {str(config.media)!r}.")
    table = clip_table.read(config.labels, config.regression)
    shared = table.people_in_two_splits()
    if shared and not config.shared_people:
        raise UserError(
            f"in two splits: {_some(shared)}; a network would be tested on people it knows. "
            "--shared-people allows it."
        )
    _say_unnamed(config.media, table)
    manifest = extract(config, table)
    kinds = "numbers" if table.classes is None else f"{len(table.classes)} classes"
    _say(f"{config.out}: {len(manifest.clips)} clips, labels are {kinds}")
    if manifest.skipped:
        _say(f"{len(manifest.skipped)} of {len(table.clips)} clips were skipped")
    return 0


def extract(config: Extract, table: Table) -> Manifest:
    """Bring the cache at `config.out` up to date with the table. Raises UserError."""
    paths = {clip.id: config.media / clip.id for clip in table.clips}
    versions = {clip: Version.of(path) for clip, path in paths.items() if path.is_file()}
    skipped = {clip: "there is no such file." for clip in paths if clip not in versions}
    for clip, reason in skipped.items():
        _say(f"skipped {clip}: {reason}")
    with GrowingCache(config.out, _features(config)) as cache:
        waiting = [clip for clip, version in versions.items() if not cache.has(clip, version)]
        start = partial(ClipEncoder, config.checkpoint, config.text == "on")
        jobs = config.jobs or os.cpu_count() or 1
        bar = tqdm(desc="clips", total=len(versions), initial=len(versions) - len(waiting))
        results = spread([paths[clip] for clip in waiting], start, jobs)
        with closing(results), bar:
            ids = {paths[clip]: clip for clip in waiting}
            for path, found in results:
                clip = ids[path]
                if found is None:
                    found = Unusable("the process that read it died.")
                if isinstance(found, Unusable):
                    skipped[clip] = found.reason
                    bar.write(f"skipped {clip}: {found.reason}", file=sys.stderr)
                else:
                    cache.add(clip, versions[clip], found)
                bar.update()
        if len(skipped) == len(paths):
            raise UserError(f"none of the {len(paths)} clips could be extracted.")
        return cache.finish(table.clips, table.classes, skipped)


def _features(config: Extract) -> Features:
    loaded = checkpoint.load(config.checkpoint)
    modalities = MODALITIES if config.text == "on" else ("face", "voice")
    return Features(loaded.spec, loaded.spec.sha256(), loaded.sha256, modalities, GAP_NAMES)


def _say_unnamed(media: Path, table: Table) -> None:
    """Files of the clips' kinds that the table does not name."""
    named = {media / clip.id for clip in table.clips}
    kinds = {path.suffix for path in named}
    rest = [
        str(path.relative_to(media))
        for path in sorted(media.rglob("*"))
        if path.suffix in kinds and path not in named and path.is_file()
    ]
    if rest:
        _say(f"not in the table, so left out: {_some(rest)}")


def _some(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)
