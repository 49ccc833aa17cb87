"""Assembles the window of a tick from the rows that are ready, and names the causes of its gaps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from normtr.cause import Cause, first_cause
from normtr.modality import Modality
from normtr.predictor import Prediction
from normtr.spec import FeatureSpec
from normtr.text import TextEncoder, TimedWord
from normtr.window import Row, Window, assemble
from stream.pipeline.events import (
    Arrived,
    Asked,
    Condition,
    Down,
    Dropped,
    Ended,
    Event,
    Failed,
    FeatureRow,
    OtherPerson,
    Restarted,
    Seen,
    TextReady,
    TranscriptEvent,
)
from stream.pipeline.smoothing import Smoothed
from stream.pipeline.stages import AFFECTS, FEEDS
from stream.pipeline.step_log import StepLog

SLOW = (Cause.DROPPED, Cause.LATE)
"""Causes that show that the machine is too slow."""
UNREADY = (*SLOW, Cause.ERROR)
"""Causes that lie with us: the input was there, but its row was not."""


@dataclass(frozen=True)
class Estimate:
    """The recognizer's answer at one tick, about the window that ends with `step`."""

    step: int
    window: Window
    prediction: Prediction
    tick_ns: int
    """When the tick began: after the window's end, by the settling time at most."""
    faces: int
    """The number of pictures that were used for the closing step."""
    smoothed: Smoothed | None = None
    """The smoothed label; None if the config does not ask for it, or nothing was seen."""
    source: str = ""
    """The name of the source; filled in on the way out."""


@dataclass
class Fresh:
    """Counts the steps whose input existed, and those of them that the closing estimate used."""

    existed: int = 0
    ready: int = 0

    @property
    def share(self) -> float | None:
        return self.ready / self.existed if self.existed else None


class WindowAssembler:
    """Keeps what is known of the steps on the grid. One thread owns it."""

    def __init__(self, spec: FeatureSpec, origin_ns: int, off: Iterable[Modality] = ()) -> None:
        self.spec = spec
        self.fresh = {m: Fresh() for m in (Modality.FACE, Modality.VOICE)}
        self._origin_ns = origin_ns
        self._text_encoder: TextEncoder | None = None
        inputs = {Modality.FACE: spec.face.slots_per_step}
        self._steps = {m: StepLog(inputs.get(m, 1)) for m in Modality}
        self._conditions: dict[Modality, list[tuple[int, Cause]]] = {m: [] for m in Modality}
        self._down: dict[Modality, list[tuple[int, int | None]]] = {m: [] for m in Modality}
        self._off = frozenset(off)
        self._words: tuple[TimedWord, ...] = ()
        self._horizon_ns = origin_ns
        self._unheard: list[tuple[int, int]] = []  # begin and end of sound not transcribed

    def handle(self, event: Event) -> None:
        """Take in an event from a source or a worker."""
        match event:
            case TextReady():
                self._text_encoder = event.encoder
            case TranscriptEvent():
                self._words = tuple(word.word for word in event.words)
                self._horizon_ns = event.horizon_ns
                if event.skipped is not None:
                    self._unheard.append(event.skipped)
            case Condition():
                self._conditions[event.modality].append((event.at_ns, event.cause or Cause.NONE))
            case Down():
                self._lose(FEEDS[event.stage], event.at_ns)
            case Restarted():
                *before, (begin_ns, _) = self._down[FEEDS[event.stage]]
                self._down[FEEDS[event.stage]] = [*before, (begin_ns, event.at_ns)]
            case Arrived() | Dropped() | Failed() | FeatureRow():
                self._steps[event.modality].handle(event)
            case Ended():
                for modality in AFFECTS[event.device]:
                    self._steps[modality].end()
            case Seen() | Asked() | OtherPerson():
                pass  # they say nothing of a step
            case _:
                assert_never(event)

    def is_closed(self, step: int) -> bool:
        """Return whether waiting gains nothing: face and voice of the step are known.

        A modality is known when each of its rows is there, or when what stands in the way of it is
        known. An open device that has given nothing yet and a busy worker are waited for.
        """
        return all(self._is_known(m, step) for m in (Modality.FACE, Modality.VOICE))

    def _is_known(self, modality: Modality, step: int) -> bool:
        return (
            self._standing(modality, step) not in (Cause.NONE, Cause.STARTING)
            or any(up_ns is None for _, up_ns in self._down[modality])
            or self._steps[modality].is_known(step)
        )

    def window(self, step: int) -> Window:
        """Return the window whose last step is `step`; 0 is the session's first step.

        The steps of calls must rise, because older steps are forgotten.
        """
        spec = self.spec
        begin_ns = self._origin_ns + (step + 1 - spec.steps) * spec.step_ns
        numbers = range(step + 1 - spec.steps, step + 1)
        columns: dict[str, list[tuple[Cause, Row | None]]] = {
            m: [self._outcome(m, n) for n in numbers] for m in (Modality.FACE, Modality.VOICE)
        }
        heard = [
            self._heard(n, cause)
            for n, (cause, _) in zip(numbers, columns[Modality.VOICE], strict=True)
        ]
        columns[Modality.TEXT] = self._text(begin_ns, numbers, heard)
        window = assemble(spec, begin_ns, columns)
        self._forget(numbers[0])
        for modality, fresh in self.fresh.items():
            if self._steps[modality][step].arrived and window.gaps[modality][-1] != Cause.OFF:
                fresh.existed += 1
                fresh.ready += window.gaps[modality][-1] not in UNREADY
        return window

    def faces(self, step: int) -> int:
        """Return how many pictures a step of the last window has used."""
        return len(self._steps[Modality.FACE][step].rows)

    def _outcome(self, modality: Modality, step: int) -> tuple[Cause, Row | None]:
        standing = self._standing(modality, step)
        if step < 0 or standing in (Cause.OFF, Cause.STARTING, Cause.PAUSED):
            return standing, None
        cause, row = self._steps[modality][step].outcome()
        if cause in UNREADY and self._is_down(modality, step):
            cause = Cause.ERROR
        if standing != Cause.NONE:
            # If nothing came in for the step, the cause is what kept it out.
            cause = standing if cause == Cause.STALLED else first_cause((standing, cause))
        return (cause, row) if cause == Cause.NONE else (cause, None)

    def _lose(self, modality: Modality, at_ns: int) -> None:
        """Note that from `at_ns` on no worker answers, until one is restarted."""
        # Words after the horizon will not be heard any more.
        begin_ns = min(at_ns, self._horizon_ns) if modality == Modality.TEXT else at_ns
        stretches = self._down[modality]
        if not stretches or stretches[-1][1] is not None:
            stretches.append((begin_ns, None))

    def _is_down(self, modality: Modality, step: int) -> bool:
        """Return whether there was no worker during a part of the step."""
        begin_ns = self._origin_ns + step * self.spec.step_ns
        return any(
            down_ns < begin_ns + self.spec.step_ns and (up_ns is None or up_ns > begin_ns)
            for down_ns, up_ns in self._down[modality]
        )

    def _standing(self, modality: Modality, step: int) -> Cause:
        """Return the condition in force at the step's end."""
        if modality in self._off:
            return Cause.OFF
        if step < 0:
            return Cause.STARTING
        end_ns = self._origin_ns + (step + 1) * self.spec.step_ns
        cause = Cause.NONE
        for at_ns, changed in self._conditions[modality]:
            if at_ns < end_ns:
                cause = changed
        return cause

    def _heard(self, step: int, cause: Cause) -> Cause:
        """Return the voice's cause for the words: a step that only the voice worker gave up is
        whole."""
        return (
            Cause.NONE
            if cause == Cause.DROPPED and self._steps[Modality.VOICE][step].dropped
            else cause
        )

    def _text(
        self, begin_ns: int, numbers: range, voice: list[Cause]
    ) -> list[tuple[Cause, Row | None]]:
        if Modality.TEXT in self._off:
            return [(Cause.OFF, None)] * len(numbers)
        if self._text_encoder is None:
            return [
                (Cause.ERROR if self._is_down(Modality.TEXT, n) else Cause.STARTING, None)
                for n in numbers
            ]
        rows = self._text_encoder.rows(self._words, begin_ns, self.spec.step_ns, self.spec.steps)
        column: list[tuple[Cause, Row | None]] = []
        for number, row, heard in zip(numbers, rows, voice, strict=True):
            standing = self._standing(Modality.TEXT, number)
            end_ns = self._origin_ns + (number + 1) * self.spec.step_ns
            if standing != Cause.NONE:
                column.append((standing, None))
            elif row is not None:
                column.append((Cause.NONE, row))
            elif heard in (Cause.PAUSED, Cause.MUTED, Cause.STALLED, Cause.DROPPED):
                column.append((heard, None))
            elif heard != Cause.SILENCE and self._is_down(Modality.TEXT, number):
                column.append((Cause.ERROR, None))
            elif heard != Cause.SILENCE and self._was_skipped(end_ns):
                column.append((Cause.DROPPED, None))
            elif end_ns > self._horizon_ns and heard != Cause.SILENCE:
                column.append((Cause.LATE, None))
            else:
                column.append((Cause.NO_WORDS, None))
        return column

    def _was_skipped(self, end_ns: int) -> bool:
        """Return whether the transcriber had no time for sound of the step that ends at
        `end_ns`."""
        begin_ns = end_ns - self.spec.step_ns
        return any(begin_ns < last and first < end_ns for first, last in self._unheard)

    def _forget(self, oldest: int) -> None:
        for steps in self._steps.values():
            steps.forget(oldest)
        oldest_ns = self._origin_ns + oldest * self.spec.step_ns
        self._unheard = [gap for gap in self._unheard if gap[1] > oldest_ns]
        for changes in self._conditions.values():
            while len(changes) > 1 and changes[1][0] < oldest_ns:
                changes.pop(0)
        for modality, stretches in self._down.items():
            self._down[modality] = [
                (down, up) for down, up in stretches if up is None or up > oldest_ns
            ]
