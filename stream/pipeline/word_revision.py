"""Keeps the words heard so far: provisional words are revised until two passes agree on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from itertools import pairwise, takewhile
from typing import NamedTuple

from normtr.text import TimedWord
from stream.pipeline.events import Word, WordChange

SAME_TIME_NS = 80_000_000
SAME_PROBABILITY = 0.1
LONGEST_PHRASE = 6
REPEATS = 4
"""A phrase of 1 to LONGEST_PHRASE words is a loop if it comes more often than this in a row."""
PAUSE_NS = 1_000_000_000


class Guess(NamedTuple):
    """A word as one pass heard it, with its probability in 0..1."""

    word: TimedWord
    probability: float


class Hypothesis:
    """The committed words, which never change again, and after them the provisional ones.

    Words never overlap. Every method returns its changes in order; replaying all changes gives
    `words` and those forgotten. Ids count up from 0.
    """

    def __init__(self, known: Sequence[Word] = ()) -> None:
        """`known` are the `words` of a hypothesis that this one continues."""
        self.committed = tuple(word for word in known if word.committed)
        self.provisional = tuple(word for word in known if not word.committed)
        # The last committed word's end, even if forgotten.
        self._settled_ns = self.committed[-1].word.end_ns if self.committed else None
        self._next_id = max((word.id for word in known), default=-1) + 1
        self._loop_ns: int | None = None  # the end of the last word that was not taken

    @property
    def words(self) -> tuple[Word, ...]:
        return self.committed + self.provisional

    def revise(self, heard: Sequence[Guess], until_ns: int) -> tuple[WordChange, ...]:
        """Replace the provisional words by what the newest pass heard after the committed ones.

        Leading words that the previous pass heard, too, and that end by `until_ns` are committed.
        Words that only repeat a loop are left out.
        """
        heard = self._without_loops(heard)
        old = self.provisional
        both = zip(old, heard, strict=False)
        agreed = sum(1 for _ in takewhile(lambda two: _key(two[0].word) == _key(two[1].word), both))
        changes: list[WordChange] = []
        partners = _pair(old, heard)
        kept = set(partners)
        changes += [WordChange("revoke", word) for i, word in enumerate(old) if i not in kept]
        new: list[Word] = []
        floor_ns = self._settled_ns
        for guess, partner in zip(heard, partners, strict=True):
            word = self._revised(guess, None if partner is None else old[partner], floor_ns)
            if partner is None:
                changes.append(WordChange("add", word))
            elif word != old[partner]:
                changes.append(WordChange("update", word))
            new.append(word)
            floor_ns = word.word.end_ns
        self.provisional = tuple(new)
        settled = sum(1 for _ in takewhile(lambda w: w.word.end_ns <= until_ns, new[:agreed]))
        return (*changes, *self._commit(settled))

    def commit_before(self, time_ns: int) -> tuple[WordChange, ...]:
        """Commit the provisional words that begin before `time_ns`, as they are."""
        return self._commit(sum(word.word.begin_ns < time_ns for word in self.provisional))

    def commit_all(self) -> tuple[WordChange, ...]:
        return self._commit(len(self.provisional))

    def forget(self, before_ns: int) -> None:
        """Drop committed words that end before `before_ns`."""
        self.committed = tuple(w for w in self.committed if w.word.end_ns >= before_ns)

    def _commit(self, count: int) -> tuple[WordChange, ...]:
        final = tuple(replace(word, committed=True) for word in self.provisional[:count])
        self.committed += final
        self.provisional = self.provisional[count:]
        if final:
            self._settled_ns = final[-1].word.end_ns
        return tuple(WordChange("commit", word) for word in final)

    def _without_loops(self, heard: Sequence[Guess]) -> list[Guess]:
        """Return the words that were heard, without those that only go on repeating a phrase."""
        said = [word.word for word in self.committed]
        if said and self._loop_ns is not None:  # time that the loop filled is no pause
            said[-1] = replace(said[-1], end_ns=max(said[-1].end_ns, self._loop_ns))
        kept = []
        for guess in heard:
            said.append(guess.word)
            if any(_is_loop(said, length) for length in range(1, LONGEST_PHRASE + 1)):
                self._loop_ns = guess.word.end_ns
            else:
                kept.append(guess)
        return kept

    def _revised(self, guess: Guess, old: Word | None, floor_ns: int | None) -> Word:
        """Return the guess as a word after `floor_ns`, or `old` itself if hardly anything
        changed."""
        text, begin_ns, end_ns = guess.word.text, guess.word.begin_ns, guess.word.end_ns
        if floor_ns is not None:
            begin_ns = max(begin_ns, floor_ns)
        end_ns = max(end_ns, begin_ns)
        if old is None:
            self._next_id += 1
            word_id = self._next_id - 1
        elif (
            old.word.text == text
            and abs(old.word.begin_ns - begin_ns) < SAME_TIME_NS
            and abs(old.word.end_ns - end_ns) < SAME_TIME_NS
            and abs(old.probability - guess.probability) < SAME_PROBABILITY
            and (floor_ns is None or old.word.begin_ns >= floor_ns)
        ):
            return old
        else:
            word_id = old.id
        return Word(word_id, TimedWord(text, begin_ns, end_ns), guess.probability, False)


def _is_loop(said: Sequence[TimedWord], length: int) -> bool:
    """Return whether the last words repeat the same `length` words more than REPEATS times."""
    last = said[-(REPEATS * length + 1) :]
    return (
        len(last) > REPEATS * length
        and all(b.begin_ns - a.end_ns < PAUSE_NS for a, b in pairwise(last))
        and all(_key(a) == _key(b) for a, b in zip(last, last[length:], strict=False))
    )


def _key(word: TimedWord) -> str:
    """Return the letters and digits that count when passes are compared, in lower case."""
    return "".join(c for c in word.text.lower() if c.isalnum())


def _pair(old: Sequence[Word], heard: Sequence[Guess]) -> list[int | None]:
    """Return, for each heard word, the index of the old word that it revises; None if it is new."""
    matcher = SequenceMatcher(
        None, [_key(w.word) for w in old], [_key(g.word) for g in heard], autojunk=False
    )

    def partners() -> Iterator[int | None]:
        for _, i, i_end, j, j_end in matcher.get_opcodes():
            # Unequal stretches are paired from the left; what is left over is new or revoked.
            yield from (i + n if i + n < i_end else None for n in range(j_end - j))

    return list(partners())
