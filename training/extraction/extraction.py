"""Brings a cache of rows up to date with a table of clips, for `normtr extract`."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from functools import partial

from tqdm import tqdm

from normtr import checkpoint
from normtr.errors import UserError
from normtr.progress import say
from normtr.spec import MODALITIES
from training.extraction.cache import Features, Manifest
from training.extraction.cache_writer import GrowingCache, Version
from training.extraction.clip_features import GAP_NAMES, ClipEncoder, Unusable
from training.extraction.clip_table import Table
from training.extraction.extract import Extract
from training.processes import spread


def extract(config: Extract, table: Table) -> Manifest:
    """Bring the cache at `config.out` up to date with the table. Raises UserError."""
    paths = {clip.id: config.media / clip.id for clip in table.clips}
    versions = {clip: Version.of(path) for clip, path in paths.items() if path.is_file()}
    skipped = {clip: "there is no such file." for clip in paths if clip not in versions}
    for clip, reason in skipped.items():
        say(f"skipped {clip}: {reason}")
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
