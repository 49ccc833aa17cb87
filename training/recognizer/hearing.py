"""What a recogniser makes of an utterance: words dropped, confused, often without punctuation."""

from __future__ import annotations

import re
import string
from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np

from training.recognizer.text_rows import Said

DROPPED = 0.08
CONFUSED = 0.08


def bare(text: str) -> str:
    """Lower case without punctuation, as recognisers that know no sentences write."""
    return " ".join(re.sub(r"[^a-z0-9' ]+", " ", text.lower()).split())


def bare_said(said: Said) -> Said:
    """A text and what was said before it, both bare."""
    return Said(*map(bare, said))


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

    def __call__(self, text: str, random: np.random.Generator, written: bool = False) -> str:
        """The bare text, or `written`, with case and punctuation; of its words DROPPED are missing
        and CONFUSED are taken for a word that sounds alike, where there is one. Never empty where
        the text has words."""
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
        """The same of a text and what was said before it."""
        return Said(*(self(text, random, written) for text in said))


def _as_written(word: str, other: str) -> str:
    """The other word in the place, case and punctuation of a word."""
    inside = word.strip(string.punctuation)
    return word.replace(inside, other.capitalize() if inside[:1].isupper() else other, 1)
