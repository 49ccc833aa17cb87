"""What a recording says, in the order in which it was said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from normtr.text import TimedWord
from stream.publish import recording
from stream.wire import AFFECT, TEXT


def affects_with_words(path: Path) -> Iterator[tuple[dict[str, Any], list[TimedWord]]]:
    """Each `affect` payload with the words that were known when it was made."""
    words: dict[int, TimedWord] = {}
    for message in recording.read(path):
        payload = message.payload
        if message.topic == TEXT:
            if payload["change"] == "revoke":
                del words[payload["id"]]
            else:
                words[payload["id"]] = TimedWord(
                    payload["word"], payload["begin_ns"], payload["end_ns"]
                )
        elif message.topic == AFFECT:
            yield payload, sorted(words.values(), key=lambda word: (word.begin_ns, word.end_ns))


def payloads(path: Path, topic: str) -> list[dict[str, Any]]:
    return [message.payload for message in recording.read(path) if message.topic == topic]


def closing_gaps(affects: Sequence[dict[str, Any]], modality: str) -> list[str]:
    """The cause of each step in the estimate that closed it."""
    return [affect["gaps"][modality][-1] for affect in affects]


def settled_gaps(affects: Sequence[dict[str, Any]], modality: str) -> list[str]:
    """The cause of each step in the last estimate that holds it."""
    out: dict[int, str] = {}
    for affect in affects:
        last = affect["window"]["end_ns"] // affect["window"]["step_ns"] - 1
        for back, cause in enumerate(reversed(affect["gaps"][modality])):
            out[last - back] = cause
    return [cause for step, cause in sorted(out.items()) if step >= 0]
