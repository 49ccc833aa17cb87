"""A person's neutral steps, collected from the estimates of a session."""

from __future__ import annotations

from normtr import user_baseline
from normtr.cause import Cause
from normtr.checkpoint import Checkpoint
from normtr.user_baseline import FEWEST, UserBaseline, check_labels
from normtr.window import Row
from stream.pipeline.window_assembler import Estimate

START_LIMIT_S = 20.0
"""How long the devices may take until something of the person is seen or heard."""


class BaselineCollector:
    """Collects the rows of a session's steps, each as the estimate that closed it saw it."""

    def __init__(self, checkpoint: Checkpoint, seconds: float) -> None:
        """`seconds`: how long, from the first step that holds anything of the person.

        Raises UserError where the recognizer knows no personal calibration.
        """
        check_labels(checkpoint)
        self.step_s = checkpoint.spec.step_ms / 1000
        self.wanted = max(1, round(seconds / self.step_s))
        """So many steps."""
        self._checkpoint = checkpoint
        self._waited = 0
        self._rows: dict[str, list[Row]] = {m: [] for m in FEWEST}
        self.steps = 0
        """How many have passed since the first that held anything of the person."""

    @property
    def valid(self) -> dict[str, int]:
        """Steps that gave a row, per modality."""
        return {m: len(rows) for m, rows in self._rows.items()}

    def add(self, estimate: Estimate) -> bool:
        """Whether it is over: enough steps have passed, or nobody came for a long time."""
        for m, rows in self._rows.items():
            if estimate.window.gaps[m][-1] == Cause.NONE:
                rows.append(estimate.window.rows[m][-1])
        if any(self.valid.values()):
            self.steps += 1
        else:
            self._waited += 1
        return self.steps >= self.wanted or self._waited * self.step_s >= START_LIMIT_S

    def measured(self) -> UserBaseline:
        """Raises UserError when too little was valid."""
        return user_baseline.measured(self._checkpoint, self._rows)
