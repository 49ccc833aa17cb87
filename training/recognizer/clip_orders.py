"""In what order a person shows their clips: what a running baseline has seen before each of them."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from normtr.spec import LABELS

NEUTRAL = LABELS.index("neutral")
EVERYDAY = 0.6
"""The share of neutral clips in the order `everyday`."""
LASTS = 8
"""So many times each clip is shown in the order `moods`, in which an emotion lasts for minutes."""


class Order(StrEnum):
    """How the clips of one person follow each other."""

    ALONE = "alone"
    """Each is the first that is seen of the person."""
    RANDOM = "random"
    EVERYDAY = "everyday"
    """In random order, and between them so many neutral ones again that most are neutral."""
    MOODS = "moods"
    """One emotion after the other, and each clip several times."""


def shown(
    order: Order, labels: NDArray[np.int64], random: np.random.Generator
) -> Iterator[tuple[int, bool]]:
    """Yield the number of each clip that one person shows, and whether it is judged.

    Each of the clips, whose `labels` [n] are given, is judged once: the only time, or the last one,
    that it is shown as itself.
    """
    numbers = random.permutation(len(labels))
    if order == Order.MOODS:
        for label in random.permutation(np.unique(labels)):
            mine = [i for i in numbers if labels[i] == label]
            for time in range(LASTS):
                yield from ((int(i), time == LASTS - 1) for i in mine)
        return
    calm = np.flatnonzero(labels == NEUTRAL)
    seen = calm_seen = 0
    for i in numbers:
        while order == Order.EVERYDAY and len(calm) and calm_seen < EVERYDAY * seen:
            yield int(random.choice(calm)), False
            seen, calm_seen = seen + 1, calm_seen + 1
        yield int(i), True
        seen, calm_seen = seen + 1, calm_seen + int(labels[i] == NEUTRAL)
