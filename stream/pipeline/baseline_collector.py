"""Collects a person's neutral steps from the estimates of a session."""

from __future__ import annotations

from normtr import user_baseline
from normtr.cause import Cause
from normtr.checkpoint import Checkpoint
from normtr.user_baseline import FEWEST, UserBaseline, check_labels
from normtr.window import Row
from stream.pipeline.window_assembler import Estimate

START_LIMIT_S = 20.0
"""The devices may take this long until something of the person is seen or heard."""


class BaselineCollector:
    """Collects the rows of a session's steps, as they were in the estimate that closed each
    step."""

    def __init__(self, checkpoint: Checkpoint, seconds: float) -> None:
        """`seconds` is the time to collect, from the first step with anything of the person.

        Raises UserError when the recognizer takes no personal calibration.
        """
        check_labels(checkpoint)
        self.step_s = checkpoint.spec.step_ms / 1000
        self.wanted = max(1, round(seconds / self.step_s))
        """The number of steps to collect."""
        self._checkpoint = checkpoint
        self._waited = 0
        self._rows: dict[str, list[Row]] = {m: [] for m in FEWEST}
        self.steps = 0
        """The number of steps since the first one with anything of the person."""

    @property
    def valid(self) -> dict[str, int]:
        """The number of steps that gave a row, per modality."""
        return {m: len(rows) for m, rows in self._rows.items()}

    def add(self, estimate: Estimate) -> bool:
        """Take an estimate; return whether it is over.

        It is over when enough steps have passed, or when nobody came for a long time.
        """
        for m, rows in self._rows.items():
            if estimate.window.gaps[m][-1] == Cause.NONE:
                rows.append(estimate.window.rows[m][-1])
        if any(self.valid.values()):
            self.steps += 1
        else:
            self._waited += 1
        return self.steps >= self.wanted or self._waited * self.step_s >= START_LIMIT_S

    def measured(self) -> UserBaseline:
        """Return the person's bias. Raises UserError when too few steps were valid."""
        return user_baseline.measured(self._checkpoint, self._rows)
