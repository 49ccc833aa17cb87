"""Says which metrics the tables show, and how they are written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """A metric as tables show it: value * `scale` with `digits` decimals."""

    key: str
    """Its name among the metrics of a data set."""
    label: str
    scale: int = 100
    digits: int = 1
    lower: bool = False
    """Whether less is better."""

    @property
    def unit(self) -> str:
        return "%" if self.scale == 100 else ""

    @property
    def title(self) -> str:
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def write(self, value: float, signed: bool = False) -> str:
        """Return the value as tables show it; a dash for NaN."""
        if math.isnan(value):
            return "-"
        return f"{value * self.scale:{'+' if signed else ''}.{self.digits}f}"


MAE = Measure("mae", "MAE", 1, 3, lower=True)
ACCURACY = Measure("accuracy", "accuracy")
KNOWN = (
    MAE,
    Measure("corr", "Corr", 1, 3),
    Measure("acc7", "Acc-7"),
    Measure("acc2_a", "Acc-2 a"),
    Measure("acc2_b", "Acc-2 b"),
    Measure("f1_a", "F1 a"),
    Measure("f1_b", "F1 b"),
    ACCURACY,
    Measure("weighted_f1", "F1"),
    Measure("uar", "UAR"),
)
HIDDEN = ("acc5", "acc3")
"""These metrics are in the JSON, but not in tables with Acc-7."""


def measures(names: Sequence[str]) -> tuple[Measure, ...]:
    """Return the measures of a data set that has the metrics `names`.

    Systems are compared by the first one, and the first two are drawn over the noise rates.
    """
    known = {measure.key: measure for measure in KNOWN}
    hidden = HIDDEN if "acc7" in names else ()
    first = [key for key in known if key in names]
    others = [name for name in names if name not in (*first, *hidden)]
    return tuple(known.get(name, Measure(name, name)) for name in (*first, *others))
