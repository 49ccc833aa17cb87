"""What is known of one modality's steps: the inputs that arrived, and what became of them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from normtr.cause import Cause
from normtr.window import Row, mean_row
from stream.pipeline.events import Arrived, Dropped, Failed, FeatureRow


@dataclass
class Step:
    """What is known of one step."""

    arrived: int = 0
    dropped: int = 0
    failed: int = 0
    rows: list[tuple[Cause, Row | None]] = field(default_factory=list)

    def outcome(self) -> tuple[Cause, Row | None]:
        """Return the row, or the cause why there is none.

        A row counts only if nothing of its step was lost or is missing. Otherwise the row would
        depend on how busy the machine was, not on the gaps alone.
        """
        if self.dropped:
            return Cause.DROPPED, None
        if self.failed:
            return Cause.ERROR, None
        if not self.arrived:
            return Cause.STALLED, None
        if len(self.rows) < self.arrived:
            return Cause.LATE, None
        return mean_row(self.rows)


class StepLog:
    """The steps of one modality, of which each can have up to `inputs`."""

    def __init__(self, inputs: int) -> None:
        self._inputs = inputs
        self._steps: defaultdict[int, Step] = defaultdict(Step)
        self._newest = -1  # the newest step that has an input
        self._ended = False

    def __len__(self) -> int:
        """Return the number of steps that are remembered."""
        return len(self._steps)

    def __getitem__(self, step: int) -> Step:
        return self._steps[step]

    def handle(self, event: Arrived | Dropped | Failed | FeatureRow) -> None:
        """Take in what happened to an input."""
        step = self._steps[event.step]
        match event:
            case Arrived():
                step.arrived += 1
                self._newest = max(self._newest, event.step)
            case Dropped():
                step.dropped += 1
            case Failed():
                step.failed += 1
            case FeatureRow():
                step.rows.append((event.cause, event.vector))

    def end(self) -> None:
        """Note that no more inputs come."""
        self._ended = True

    def is_known(self, number: int) -> bool:
        """Return whether no input of the step can come any more, and each one has its outcome.

        Inputs come in order: one of a later step shows that all of this one were there.
        """
        step = self._steps[number]
        if step.dropped or step.failed:
            return True
        all_came = step.arrived >= self._inputs or self._newest > number or self._ended
        return all_came and len(step.rows) >= step.arrived

    def forget(self, oldest: int) -> None:
        """Drop the steps before `oldest`."""
        for number in [n for n in self._steps if n < oldest]:
            del self._steps[number]
