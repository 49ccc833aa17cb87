"""Feature caches of made-up clips, as `normtr extract` leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from normtr import checkpoint
from normtr.shipped import SHIPPED
from normtr.spec import MODALITIES, FeatureSpec
from normtr.text import TimedWord
from training.data.extraction.cache import CacheFeatures, Labelled
from training.data.extraction.cache_writer import GrowingCache, Version
from training.data.extraction.clip_features import GAP_NAMES, ClipFeatures

RECOGNIZER = checkpoint.load(SHIPPED)
SPEC = FeatureSpec()
WORDS = ("what", "a", "wonderful", "surprise")


def features(steps: int, seed: int) -> ClipFeatures:
    """What a clip of so many steps could give: some gaps, a word every half second."""
    random = np.random.default_rng(seed)
    gaps = (random.random((steps, 3)) < 0.3).astype(np.uint8) * GAP_NAMES.index("no_face")
    rows = {
        m: random.normal(size=(steps, dim)).astype(np.float32) * (gaps[:, i, None] == 0)
        for i, (m, dim) in enumerate(SPEC.dims.items())
    }
    begins = range(100_000_000, steps * SPEC.step_ns, 500_000_000)
    words = [TimedWord(WORDS[i % 4], ns, ns + 50_000_000) for i, ns in enumerate(begins)]
    return ClipFeatures(rows, gaps, tuple(words))


def growing(out: Path, spec: FeatureSpec = SPEC, sha256: str = RECOGNIZER.sha256) -> GrowingCache:
    return GrowingCache(out, CacheFeatures(spec, spec.sha256(), sha256, MODALITIES, GAP_NAMES))


def filled(out: Path, found: Sequence[Labelled], steps: int = 20, **more: Any) -> Path:
    """A cache of clips, whose place is their seed."""
    classes = sorted({clip.label for clip in found if isinstance(clip.label, str)})
    with growing(out, **more) as cache:
        for i, clip in enumerate(found):
            cache.add(clip.id, Version(1, 1), features(steps, i))
        cache.finish(tuple(found), tuple(classes) or None, {})
    return out
