"""MELD: utterances of a television series with one of seven emotions (Poria et al., ACL 2019)."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

from normtr.errors import UserError
from normtr.spec import LABELS

EMOTIONS = {
    "anger": "angry",
    "disgust": "disgust",
    "fear": "fear",
    "joy": "happy",
    "sadness": "sad",
    "surprise": "surprise",
    "neutral": "neutral",
}


@dataclass(frozen=True)
class MeldUtterance:
    """An utterance and what was said before it."""

    text: str
    """What was said; typographic quotes are replaced by plain ones."""
    label: int
    """Index into `normtr.spec.LABELS`."""
    sentiment: str
    """negative, neutral or positive."""
    dialogue: str
    """The dialogue's name, or the row's number if the table names no dialogues."""
    before: str = ""
    """What anyone said in the dialogue before, in the order of the table."""


def load(path: Path) -> list[MeldUtterance]:
    """Return the utterances of a table such as `meld_train_sent_emo.csv` that have words.

    Raises UserError when the file is missing or has other columns or emotions.
    """
    quotes = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "\x92": "'", "…": "..."})
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [
                MeldUtterance(
                    row["Utterance"].translate(quotes),
                    LABELS.index(EMOTIONS[row["Emotion"]]),
                    row["Sentiment"],
                    row.get("Dialogue_ID") or f"row {number}",
                )
                for number, row in enumerate(csv.DictReader(file))
            ]
    except FileNotFoundError:
        raise UserError(f"there is no {path}; name the data folder in the config.") from None
    except (KeyError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is no MELD table: {error}.") from None
    return _with_history([row for row in rows if row.text.split()])


def _with_history(rows: list[MeldUtterance]) -> list[MeldUtterance]:
    said: dict[str, list[str]] = defaultdict(list)
    out = []
    for row in rows:
        out.append(replace(row, before=" ".join(said[row.dialogue])))
        said[row.dialogue].append(row.text)
    return out
