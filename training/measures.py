"""Which metrics the tables show, and how they are written."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """`key` in `metrics`; shown as value * `scale` with `digits` decimals."""

    key: str
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
        return f"{value * self.scale:{'+' if signed else ''}.{self.digits}f}"


MAE = Measure("mae", "MAE", 1, 3, lower=True)
SENTIMENT = (
    MAE,
    Measure("corr", "Corr", 1, 3),
    Measure("acc7", "Acc-7"),
    Measure("acc2_a", "Acc-2 a"),
    Measure("acc2_b", "Acc-2 b"),
    Measure("f1_a", "F1 a"),
    Measure("f1_b", "F1 b"),
)
ACCURACY = Measure("accuracy", "accuracy")
EMOTIONS = (ACCURACY, Measure("weighted_f1", "F1"), Measure("uar", "UAR"))


def measures(outputs: int) -> tuple[Measure, ...]:
    """Of a network with so many outputs; the first is what systems are compared by, and the
    first two are drawn over the noise rates."""
    return SENTIMENT if outputs == 1 else EMOTIONS
