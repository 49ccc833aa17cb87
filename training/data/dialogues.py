"""Transcribed utterances with emotion and sentiment: MELD and IEMOCAP (text and labels only)."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from normtr.errors import UserError
from normtr.spec import LABELS
from training.data import meld

SENTIMENTS = ("negative", "neutral", "positive")
UNKNOWN = -1
"""The index of a label that is not known."""
# IEMOCAP's six classes are happy, sad, neutral, angry, excited and frustrated.
_EMOTIONS = ("happy", "sad", "neutral", "angry", "happy", None)
_SENTIMENTS = ("positive", "negative", "neutral", "negative", "positive", "negative")


@dataclass(frozen=True)
class Utterance:
    """An utterance with its labels, and what was said before it."""

    text: str
    emotion: int
    """Index into `normtr.spec.LABELS`, or UNKNOWN."""
    sentiment: int
    """Index into SENTIMENTS."""
    dialogue: str
    """A name that is unique within both corpora."""
    before: str = ""
    """What was said in the dialogue before; empty for IEMOCAP, whose turns have no known order."""


def load(folder: Path, split: Literal["train", "valid"]) -> list[Utterance]:
    """Return MELD's train part and IEMOCAP's sessions 1 to 4 (train), or MELD's dev part (valid).

    Raises UserError when a file is missing or cannot be read.
    """
    if split == "valid":
        return table(folder / "meld_dev_sent_emo.csv")
    return table(folder / "meld_train_sent_emo.csv") + table(
        folder / "iemocap_transcription-engchi-polish.csv"
    )


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
        Utterance(u.text, u.label, SENTIMENTS.index(u.sentiment), u.dialogue, u.before)
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
                _emotion(_EMOTIONS[code]),
                SENTIMENTS.index(_SENTIMENTS[code]),
                name.rpartition("_")[0],
            )
            for name, text, code in found
        ]
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise UserError(f"IEMOCAP's transcripts {texts} cannot be read: {error}.") from None


def _emotion(name: str | None) -> int:
    return UNKNOWN if name is None else LABELS.index(name)
