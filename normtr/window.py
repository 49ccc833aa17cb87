"""Puts rows on the time grid: arrays [T, N] with validity and gap causes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from normtr.cause import GAPS, Cause, first_cause
from normtr.spec import MODALITIES, FeatureSpec

Row = NDArray[np.float32]


class Slots:
    """Chooses the pictures of a step: the first one at or after each of its equal parts."""

    def __init__(self, spec: FeatureSpec) -> None:
        self._step_ns = spec.step_ns
        self._per_step = spec.face.slots_per_step
        self._last = (-1, 0)

    def step_for(self, at_ns: int, one_in: int = 1) -> int | None:
        """Return the step for which a picture taken at `at_ns` is wanted, or None.

        `one_in` divides the number of parts (at least one remains); it must not change within a
        step.
        """
        step, inside_ns = divmod(at_ns, self._step_ns)
        parts = max(self._per_step // one_in, 1)
        slot = (step, inside_ns * parts // self._step_ns)
        if slot <= self._last:
            return None
        self._last = slot
        return step


def mean_row(rows: Sequence[tuple[Cause, Row | None]]) -> tuple[Cause, Row | None]:
    """Return the row of a step: the mean of its pictures' rows, or None and the first cause."""
    vectors = [row for _, row in rows if row is not None]
    if vectors:
        return Cause.NONE, np.mean(vectors, axis=0, dtype=np.float32)
    return first_cause(cause for cause, _ in rows), None


@dataclass(frozen=True)
class Window:
    """T steps of every modality: the network's whole input.

    `rows` holds float32 [T, N] for each modality, zero where invalid; `gaps` holds T causes for
    each.
    """

    begin_ns: int
    step_ns: int
    rows: Mapping[str, Row]
    gaps: Mapping[str, tuple[Cause, ...]]

    @property
    def steps(self) -> int:
        return len(self.gaps[MODALITIES[0]])

    @property
    def end_ns(self) -> int:
        return self.begin_ns + self.steps * self.step_ns

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Which steps are valid: bool [modalities, T]."""
        return np.array([[cause == Cause.NONE for cause in self.gaps[m]] for m in MODALITIES])

    @property
    def share(self) -> dict[str, float]:
        """The share of valid steps, per modality."""
        return {m: float(v.mean()) for m, v in zip(MODALITIES, self.valid, strict=True)}


def assemble(
    spec: FeatureSpec, begin_ns: int, columns: Mapping[str, Sequence[tuple[Cause, Row | None]]]
) -> Window:
    """Build a Window from T pairs (cause, row) per modality.

    A row beside a cause other than `none` is ignored: the step becomes a row of zeros. Raises
    ValueError for an unknown cause, a missing row or a row of another width.
    """
    rows: dict[str, Row] = {}
    gaps: dict[str, tuple[Cause, ...]] = {}
    for modality, dim in spec.dims.items():
        column = columns[modality]
        if len(column) != spec.steps:
            raise ValueError(f"{modality} has {len(column)} steps, not {spec.steps}")
        out = np.zeros((spec.steps, dim), np.float32)
        for step, (cause, row) in enumerate(column):
            if cause != Cause.NONE:
                if cause not in GAPS:  # from a file or another program
                    raise ValueError(f"unknown gap cause {cause!r}")
                continue
            if row is None or row.shape != (dim,):
                raise ValueError(f"{modality} step {step} is valid but has no row of {dim}")
            out[step] = row
        out.flags.writeable = False
        rows[modality] = out
        gaps[modality] = tuple(cause for cause, _ in column)
    return Window(begin_ns, spec.step_ns, rows, gaps)
