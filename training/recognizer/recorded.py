"""Compares weights that were trained anew with those shipped.

Its command is `python -m training.recognizer.recorded NEW SHIPPED`. The hashes are equal on the
machine on which they were recorded; elsewhere the metrics must agree within one point.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

POINT = 0.01
"""Metrics agree if they differ by no more than this."""
HEADLINES = {
    "face accuracy (FER2013 PublicTest)": ("face", "accuracy"),
    "voice UAR (RAVDESS actors 17-20)": ("voice", "ravdess", "uar"),
    "text weighted F1 (MELD dev)": ("text", "weighted_f1"),
    "fusion accuracy (paired windows)": ("fusion", "accuracy_by_rate", "NORM-TR", "0.0"),
    "fusion accuracy, half of the steps lost": ("fusion", "accuracy_by_rate", "NORM-TR", "0.5"),
}


@dataclass(frozen=True)
class Comparison:
    """How new weights compare with those shipped."""

    equal: bool
    """Whether all files are equal."""
    figures: dict[str, tuple[float, float]]
    """The headline figures (new, shipped) by name."""

    @property
    def agrees(self) -> bool:
        near = all(abs(new - old) <= POINT for new, old in self.figures.values())
        return self.equal or (bool(self.figures) and near)

    def lines(self) -> Iterator[str]:
        yield "files: all hashes are the recorded ones" if self.equal else "files: hashes differ"
        for name, (new, old) in self.figures.items():
            mark = "" if abs(new - old) <= POINT else "  <- more than a point apart"
            yield f"{name:42s} {new:.4f}  recorded {old:.4f}{mark}"
        yield "the weights agree" if self.agrees else "THE WEIGHTS DO NOT AGREE"


def _figure(metrics: dict[str, Any], keys: tuple[str, ...]) -> float:
    value: Any = metrics
    for key in keys:
        value = value.get(key, {}) if isinstance(value, dict) else {}
    return float(value) if isinstance(value, float | int) else float("nan")


def compare(new: Path, shipped: Path) -> Comparison:
    """Compare the `recorded.json` of two checkpoint directories."""
    a, b = (json.loads((folder / "recorded.json").read_text()) for folder in (new, shipped))
    return Comparison(
        a["sha256"] == b["sha256"],
        {
            name: (_figure(a["metrics"], keys), _figure(b["metrics"], keys))
            for name, keys in HEADLINES.items()
        },
    )


def main(argv: list[str]) -> int:
    if len(argv) != 2:
        print("usage: python -m training.recognizer.recorded NEW_DIR SHIPPED_DIR", file=sys.stderr)
        return 2
    try:
        result = compare(Path(argv[0]), Path(argv[1]))
    except FileNotFoundError as error:
        print(f"there is no {error.filename}; train the fusion part first.", file=sys.stderr)
        return 1
    print("\n".join(result.lines()))
    return 0 if result.agrees else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
