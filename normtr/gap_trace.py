"""A gap trace tells why the steps of a stream were there or missing, and nothing else.

Each step is one JSON line: `{"step": 7, "face": "none", "voice": "silence", "text": "no_words"}`.
When `step` does not continue the line before, another stream begins, so traces can be joined with
`cat`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from normtr.cause import Cause
from normtr.errors import UserError
from normtr.spec import MODALITIES

Step = dict[str, str]
"""The cause of each modality; `none` means that it was there."""


def line(number: int, causes: Mapping[str, str]) -> str:
    """Return one step as a line, including its line break."""
    return json.dumps({"step": number, **{m: causes[m] for m in MODALITIES}}) + "\n"


def read(path: Path) -> list[list[Step]]:
    """Read the streams of a trace. A last line without a line break is unfinished and is left out.

    Raises UserError naming the damaged line, or when the trace holds no step.
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
