"""Texts with emotions: utterances of MELD and IEMOCAP, and comments of GoEmotions."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

from normtr.errors import UserError
from normtr.spec import LABELS
from training.data import goemotions, meld

SENTIMENTS = ("negative", "neutral", "positive")
UNKNOWN = -1
"""The index of a sentiment that is not known."""
# IEMOCAP's six classes are happy, sad, neutral, angry, excited and frustrated.
_EMOTIONS = ("happy", "sad", "neutral", "angry", "happy", None)
_SENTIMENTS = ("positive", "negative", "neutral", "negative", "positive", "negative")


class Corpus(StrEnum):
    """Where a text is from; how frequent the emotions are differs between corpora."""

    MELD = "meld"
    IEMOCAP = "iemocap"
    GOEMOTIONS = "goemotions"


@dataclass(frozen=True)
class Utterance:
    """An utterance or a comment with its labels, and what was said before it."""

    text: str
    emotions: tuple[int, ...]
    """Indices into `normtr.spec.LABELS`; several may hold, and none is known if it is empty."""
    sentiment: int
    """Index into SENTIMENTS, or UNKNOWN."""
    dialogue: str
    """A name that is unique within all corpora; a comment is a dialogue of its own."""
    corpus: Corpus
    before: str = ""
    """What was said in the dialogue before; empty where that is not known."""


def load(folder: Path, split: Literal["train", "valid"]) -> list[Utterance]:
    """Return MELD's train part and IEMOCAP's sessions 1 to 4 (train), or MELD's dev part (valid).

    Raises UserError when a file is missing or cannot be read.
    """
    if split == "valid":
        return table(folder / "meld_dev_sent_emo.csv")
    return table(folder / "meld_train_sent_emo.csv") + table(
        folder / "iemocap_transcription-engchi-polish.csv"
    )


def comments(path: Path) -> list[Utterance]:
    """Return the comments of GoEmotions' training table, but not the tenth for thresholds.

    Raises UserError as `goemotions.load` does.
    """
    return [
        Utterance(c.text, c.labels, UNKNOWN, c.name, Corpus.GOEMOTIONS)
        for c in goemotions.load(path)
        if not c.held_out
    ]


def table(path: Path) -> list[Utterance]:
    """Read MELD's table, or IEMOCAP's transcripts with `iemocap_label_6way.json` beside them.

    A table with a column `english` holds transcripts. IEMOCAP's frustrated speakers have only a
    sentiment, and excited ones count as happy. Raises UserError when a file is missing or cannot
    be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            columns = csv.DictReader(file).fieldnames or ()
    except FileNotFoundError:
        raise UserError(f"there is no {path}; name the data folder in the config.") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}.") from None
    return _iemocap(path) if "english" in columns else _meld(path)


def _meld(path: Path) -> list[Utterance]:
    return [
        Utterance(
            u.text,
            (u.label,),
            SENTIMENTS.index(u.sentiment),
            u.dialogue,
            Corpus.MELD,
            u.before,
        )
        for u in meld.load(path)
    ]


def _iemocap(texts: Path) -> list[Utterance]:
    labels = texts.parent / "iemocap_label_6way.json"
    try:
        of = json.loads(labels.read_text(encoding="utf-8"))["whole_corpus"]
        with texts.open(encoding="utf-8-sig", newline="") as file:
            said = [(r["name"], r["english"], of.get(r["name"])) for r in csv.DictReader(file)]
        found = [
            (name, text, int(of_it["emo"])) for name, text, of_it in said if of_it and text.split()
        ]
        return [
            Utterance(
                text,
                _emotions(_EMOTIONS[code]),
                SENTIMENTS.index(_SENTIMENTS[code]),
                name.rpartition("_")[0],
                Corpus.IEMOCAP,
            )
            for name, text, code in found
        ]
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise UserError(f"IEMOCAP's transcripts {texts} cannot be read: {error}.") from None


def _emotions(name: str | None) -> tuple[int, ...]:
    return () if name is None else (LABELS.index(name),)
