"""Rows on the time grid -> [T, N] arrays with validity and gap causes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from normtr.spec import MODALITIES, FeatureSpec

NONE = "none"
CAUSES = (
    "off",
    "starting",
    "paused",
    "muted",
    "denied",
    "no_device",
    "no_track",
    "stalled",
    "dropped",
    "error",
    "late",
    "no_face",
    "poor_image",
    "silence",
    "no_words",
)
"""Why a step has no row; where several hold, the first of this order is named."""

Row = NDArray[np.float32]


def first_cause(causes: Iterable[str]) -> str:
    """The cause that is named where several hold; `none` where none does."""
    return min((cause for cause in causes if cause != NONE), key=CAUSES.index, default=NONE)


class Slots:
    """Chooses the pictures of a step: the first at or after each of its equal parts."""

    def __init__(self, spec: FeatureSpec) -> None:
        self._step_ns = spec.step_ns
        self._per_step = spec.face.slots_per_step
        self._last = (-1, 0)

    def step_for(self, at_ns: int, one_in: int = 1) -> int | None:
        """The step a picture of event time `at_ns` is wanted for; None when it is not wanted.

        `one_in`: the step has so many times fewer parts, at least one; the same for a whole step.
        """
        step, inside_ns = divmod(at_ns, self._step_ns)
        parts = max(self._per_step // one_in, 1)
        slot = (step, inside_ns * parts // self._step_ns)
        if slot <= self._last:
            return None
        self._last = slot
        return step


def mean_row(rows: Sequence[tuple[str, Row | None]]) -> tuple[str, Row | None]:
    """Several pictures of a step -> its row: the mean of those that gave one, else the cause."""
    vectors = [row for _, row in rows if row is not None]
    if vectors:
        return NONE, np.mean(vectors, axis=0, dtype=np.float32)
    return first_cause(cause for cause, _ in rows), None


@dataclass(frozen=True)
class Window:
    """T steps of every modality, the network's whole input.

    `rows`: float32 [T, N] each, zero where invalid; `gaps`: T cause names each.
    """

    begin_ns: int
    step_ns: int
    rows: Mapping[str, Row]
    gaps: Mapping[str, tuple[str, ...]]

    @property
    def steps(self) -> int:
        return len(self.gaps[MODALITIES[0]])

    @property
    def end_ns(self) -> int:
        return self.begin_ns + self.steps * self.step_ns

    @property
    def valid(self) -> NDArray[np.bool_]:
        """bool [modalities, T]."""
        return np.array([[cause == NONE for cause in self.gaps[m]] for m in MODALITIES])

    @property
    def share(self) -> dict[str, float]:
        """Share of valid steps, per modality."""
        return {m: float(v.mean()) for m, v in zip(MODALITIES, self.valid, strict=True)}


def assemble(
    spec: FeatureSpec, begin_ns: int, columns: Mapping[str, Sequence[tuple[str, Row | None]]]
) -> Window:
    """Put (cause, row) pairs, T per modality, into a Window.

    A row beside a cause other than `none` does not count: the step is a zero row. Raises
    ValueError for an unknown cause, a missing row or a row of another width.
    """
    rows: dict[str, Row] = {}
    gaps: dict[str, tuple[str, ...]] = {}
    for modality, dim in spec.dims.items():
        column = columns[modality]
        if len(column) != spec.steps:
            raise ValueError(f"{modality} has {len(column)} steps, not {spec.steps}")
        out = np.zeros((spec.steps, dim), np.float32)
        for step, (cause, row) in enumerate(column):
            if cause != NONE:
                if cause not in CAUSES:
                    raise ValueError(f"unknown gap cause {cause!r}")
                continue
            if row is None or row.shape != (dim,):
                raise ValueError(f"{modality} step {step} is valid but has no row of {dim}")
            out[step] = row
        out.flags.writeable = False
        rows[modality] = out
        gaps[modality] = tuple(cause for cause, _ in column)
    return Window(begin_ns, spec.step_ns, rows, gaps)
