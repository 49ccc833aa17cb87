"""What a recogniser makes of an utterance: words dropped, confused, without case and punctuation."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np

DROPPED = 0.08
CONFUSED = 0.08


def bare(text: str) -> str:
    """Lower case without punctuation, as recognisers that know no sentences write."""
    return " ".join(re.sub(r"[^a-z0-9' ]+", " ", text.lower()).split())


def _sound(word: str) -> str:
    """Roughly how a word sounds: its first letter and the consonants after it."""
    return word[:1] + re.sub(r"(.)\1+", r"\1", re.sub(r"[aeiouyhw']", "", word[1:]))[:3]


class Hearing:
    """Knows which words of some texts sound alike."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Words that occur twice or more in `texts` are what others are taken for."""
        seen = Counter(word for text in texts for word in bare(text).split())
        self._alike: dict[str, list[str]] = defaultdict(list)
        for word, count in sorted(seen.items()):
            if count > 1:
                self._alike[_sound(word)].append(word)

    def __call__(self, text: str, random: np.random.Generator) -> str:
        """The bare text; of its words DROPPED are missing and CONFUSED are taken for a word that
        sounds alike, where there is one. Never empty where the text has words."""
        heard = []
        for word in bare(text).split():
            chance = random.random()
            others = [other for other in self._alike[_sound(word)] if other != word]
            if DROPPED <= chance < DROPPED + CONFUSED and others:
                heard.append(str(random.choice(others)))
            elif chance >= DROPPED:
                heard.append(word)
        return " ".join(heard) or bare(text)
