"""Brings a cache of rows up to date with a table of clips, for `normtr extract`."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

from tqdm import tqdm

from normtr import checkpoint
from normtr.errors import UserError
from normtr.progress import say
from normtr.spec import MODALITIES
from training.data.extraction.cache import CacheFeatures, Manifest
from training.data.extraction.cache_writer import GrowingCache, Version
from training.data.extraction.clip_features import GAP_NAMES, ClipEncoder, Unusable
from training.data.extraction.clip_table import Table
from training.processes import spread


def extract(
    table: Table, media: Path, out: Path, recognizer: Path, *, text: bool, jobs: int | None
) -> Manifest:
    """Bring the cache at `out` up to date with the table of clips in the folder `media`.

    `recognizer` is the checkpoint whose networks make the rows, `text` says whether speech is
    transcribed, and `jobs` is the number of processes (None: one for each core). Raises UserError
    when the cache cannot be written or no clip can be extracted.
    """
    paths = {clip.id: media / clip.id for clip in table.clips}
    versions = {clip: Version.of(path) for clip, path in paths.items() if path.is_file()}
    skipped = {clip: "there is no such file." for clip in paths if clip not in versions}
    for clip, reason in skipped.items():
        say(f"skipped {clip}: {reason}")
    with GrowingCache(out, _features(recognizer, text)) as cache:
        waiting = [clip for clip, version in versions.items() if not cache.has(clip, version)]
        start = partial(ClipEncoder, recognizer, text)
        bar = tqdm(desc="clips", total=len(versions), initial=len(versions) - len(waiting))
        processes = jobs or os.cpu_count() or 1
        results = spread([paths[clip] for clip in waiting], start, processes)
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


def _features(recognizer: Path, text: bool) -> CacheFeatures:
    loaded = checkpoint.load(recognizer)
    modalities = MODALITIES if text else ("face", "voice")
    return CacheFeatures(loaded.spec, loaded.spec.sha256(), loaded.sha256, modalities, GAP_NAMES)
