"""Gap traces: why the steps of a stream were or were not there, and nothing else of it.

One JSON line a step: `{"step": 7, "face": "none", "voice": "silence", "text": "no_words"}`. Where
`step` is not the one after the last line's, another stream begins, so traces can be joined with `cat`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from normtr.cause import Cause
from normtr.errors import UserError
from normtr.spec import MODALITIES

Step = dict[str, str]
"""Modality -> cause, `none` where it was there."""


def line(number: int, causes: Mapping[str, str]) -> str:
    """One step as a line, with its end."""
    return json.dumps({"step": number, **{m: causes[m] for m in MODALITIES}}) + "\n"


def read(path: Path) -> list[list[Step]]:
    """The streams of a trace. A last line without its end was being written; it does not count.

    Raises UserError naming the line that is damaged, or when there is none.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the gap trace {path}: {error}.") from None
    streams: list[list[Step]] = []
    last = None
    for row, text in enumerate(lines, 1):
        try:
            record = json.loads(text)
            number, step = int(record["step"]), {m: record[m] for m in MODALITIES}
        except (ValueError, KeyError, TypeError):
            raise UserError(f"line {row} of the gap trace {path} is damaged.") from None
        if unknown := set(step.values()) - set(Cause):
            raise UserError(
                f"line {row} of the gap trace {path} has no gap cause {unknown.pop()!r}."
            )
        if last is None or number != last + 1:
            streams.append([])
        streams[-1].append(step)
        last = number
    if not streams:
        raise UserError(f"the gap trace {path} holds no step.")
    return streams
