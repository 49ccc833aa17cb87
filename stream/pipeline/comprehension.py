"""Withholds the words of speech that the speech model does not know, such as another language.

What was passed on can be revised as before; `normtr.understood_speech` tells which speech it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from normtr.understood_speech import is_understood
from stream.pipeline.events import Word, WordChange

SPELL = 10
"""So many withheld words, less those that were passed on since, are worth a notice."""


class Comprehension:
    """Passes the changes of words on while the speech is understood.

    A word that is provisional when the speech turns out not to be understood is revoked, and never
    comes back. A word that was committed and passed on stays. Replaying what is passed on gives
    `words`.
    """

    def __init__(self, known: Sequence[Word] = ()) -> None:
        """`known` are the words that were passed on before."""
        self._passed = {word.id: word for word in known}
        self._revoked: set[int] = set()
        self._balance = 0  # of withheld and passed words, from 0 to SPELL
        self._noted = False

    @property
    def words(self) -> tuple[Word, ...]:
        """The words that were passed on and are not forgotten, in the order of time."""
        return tuple(self._passed.values())

    def pass_on(
        self, changes: Sequence[WordChange], words: Sequence[Word]
    ) -> tuple[list[WordChange], bool]:
        """Return the changes to pass on, and whether this is the time to tell the user.

        `changes` are the newest ones of all words, and `words` is what they led to. The user is
        told once, and again only after as many words were passed on as withheld.
        """
        sure = is_understood([word.probability for word in words])
        passed = self._show(changes, words) if sure else self._withdraw()
        final = sum(change.change == "commit" for change in changes)
        self._balance = min(max(self._balance + (-final if sure else final), 0), SPELL)
        tell = self._balance == SPELL and not self._noted
        self._noted = (self._noted or tell) and self._balance > 0
        self._passed = {word.id: word for word in words if word.id in self._passed}
        self._revoked &= {word.id for word in words}
        return passed, tell

    def _show(self, changes: Sequence[WordChange], words: Sequence[Word]) -> list[WordChange]:
        """Return the changes, with an `add` before them for words that were withheld so far."""
        passed: list[WordChange] = []
        for change in changes:
            word = change.word
            if word.id not in self._passed and change.change != "add":
                if change.change != "commit" or word.id in self._revoked:
                    continue
                passed.append(WordChange("add", replace(word, committed=False)))
            passed.append(change)
            self._passed[word.id] = word
            if change.change == "revoke":
                del self._passed[word.id]
        for word in words:
            if not (word.committed or word.id in self._passed or word.id in self._revoked):
                passed.append(WordChange("add", word))
                self._passed[word.id] = word
        return passed

    def _withdraw(self) -> list[WordChange]:
        """Revoke the provisional words."""
        doubted = [word for word in self._passed.values() if not word.committed]
        for word in doubted:
            del self._passed[word.id]
            self._revoked.add(word.id)
        return [WordChange("revoke", word) for word in doubted]
