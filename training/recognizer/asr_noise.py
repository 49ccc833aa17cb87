"""Simulates what a speech recogniser makes of an utterance: some words are dropped or confused."""

from __future__ import annotations

import re
import string
from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np

from training.recognizer.text_rows import Said

DROPPED = 0.08
"""The share of words that are dropped."""
CONFUSED = 0.08
"""The share of words that are taken for another one."""


def bare(text: str) -> str:
    """Return a text in lower case without punctuation, as simple recognisers write it."""
    return " ".join(re.sub(r"[^a-z0-9' ]+", " ", text.lower()).split())


def bare_said(said: Said) -> Said:
    """Return a text and what was said before it, both bare."""
    return Said(*map(bare, said))


def _sound(word: str) -> str:
    """Return roughly how a word sounds: its first letter and the consonants after it."""
    return word[:1] + re.sub(r"(.)\1+", r"\1", re.sub(r"[aeiouyhw']", "", word[1:]))[:3]


class AsrNoise:
    """Drops words, and confuses words that sound alike."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Learn the words that others can be taken for: those that occur twice or more."""
        seen = Counter(word for text in texts for word in bare(text).split())
        self._alike: dict[str, list[str]] = defaultdict(list)
        for word, count in sorted(seen.items()):
            if count > 1:
                self._alike[_sound(word)].append(word)

    def __call__(self, text: str, random: np.random.Generator, written: bool = False) -> str:
        """Return the text as a recogniser hears it.

        It is bare or, if `written`, with case and punctuation. The share DROPPED of its words is
        missing, and the share CONFUSED is replaced by words that sound alike, if there are any. It
        is never empty if the text has words.
        """
        kept = text if written else bare(text)
        heard = []
        for word in kept.split():
            chance, plain = random.random(), bare(word)
            others = [other for other in self._alike[_sound(plain)] if other != plain]
            if DROPPED <= chance < DROPPED + CONFUSED and others:
                other = str(random.choice(others))
                heard.append(_as_written(word, other) if written else other)
            elif chance >= DROPPED:
                heard.append(word)
        return " ".join(heard) or kept

    def said(self, said: Said, random: np.random.Generator, written: bool = False) -> Said:
        """Return a text and what was said before it, both as a recogniser hears them."""
        return Said(*(self(text, random, written) for text in said))


def _as_written(word: str, other: str) -> str:
    """Replace a word by the other one, and keep its case and punctuation."""
    inside = word.strip(string.punctuation)
    return word.replace(inside, other.capitalize() if inside[:1].isupper() else other, 1)
