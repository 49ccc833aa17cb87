"""Tells speech that the speech model knows from other speech, such as another language.

Whisper writes words of its own language for whatever it hears. Where it does not know what is said,
it is unsure of nearly all of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

NEWEST = 20
"""The number of words that tell whether the speech is understood."""
# Chosen on half of the people of RAVDESS, GRID (English), EMOVO, EmoDB and a Javanese corpus.
LEAST = -0.9
"""The mean log-probability of a word from which on the speech counts as understood."""
TRUSTED, TRUST = 4, -0.2
"""The mean begins with so many words of this log-probability, so that one bad word is no proof."""
LOWEST = -3.0
"""A word counts with no lower log-probability than this."""


def is_understood(probabilities: Sequence[float]) -> bool:
    """Return whether the model is sure enough of the newest words.

    `probabilities` are those of all words that it heard, in the order of time.
    """
    newest = [max(math.log(max(p, 1e-9)), LOWEST) for p in probabilities[-NEWEST:]]
    return sum(newest) + TRUSTED * TRUST >= LEAST * (len(newest) + TRUSTED)
