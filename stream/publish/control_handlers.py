"""Carries out the requests that a session gets over the control port."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from normtr.cause import Cause
from normtr.checkpoint import Checkpoint
from normtr.errors import UserError
from normtr.modality import Modality
from normtr.user_baseline import write
from stream.clock import Monotonic
from stream.pipeline.baseline_collector import BaselineCollector
from stream.pipeline.events import Asked
from stream.pipeline.outputs import Notice, Output
from stream.pipeline.pipe import Pipe
from stream.pipeline.stages import AFFECTS, CaptureDevice
from stream.pipeline.window_assembler import Estimate
from stream.publish.control import ControlServer, Verb
from stream.publish.sink import Sink
from stream.wire import HEALTH, Message, NoticeKind

LONGEST_LABEL = 200
CALIBRATION_S = 10.0


@dataclass(frozen=True)
class Controlled:
    """The parts of a session in real time that requests read and steer."""

    pipes: Sequence[Pipe]
    """One pipe for each source."""
    info: Callable[[], dict[str, Any]]
    """Returns the body of the `info` message."""
    config: dict[str, Any]
    """The settings, as JSON."""
    checkpoint: Checkpoint
    captures: bool
    """Whether a camera or a microphone records a person."""
    calibrated: bool
    """Whether a person's baseline is taken off."""
    baseline: Path
    """The file to which a measured baseline is written."""


class ControlHandlers(Sink):
    """The verbs of the control port. The control thread calls them; the session's thread calls the
    rest."""

    def __init__(self, control: ControlServer, controlled: Controlled) -> None:
        """`control` is bound; it answers from `start` on."""
        self._control = control
        self._controlled = controlled
        self._pipes = controlled.pipes
        self._clock = Monotonic()
        self._lock = threading.Lock()
        self._health_payloads: dict[str, dict[str, Any]] = {}  # the newest, by source
        self._measuring: BaselineCollector | None = None
        self._over: list[Notice] = []

    def start(self) -> None:
        self._control.serve(self.verbs)

    @property
    def verbs(self) -> dict[str, Verb]:
        return {
            "info": self._info,
            "time": self._time,
            "health": self._health,
            "config": self._read_config,
            "pause": self._pause,
            "resume": self._resume,
            "mute": self._mute,
            "unmute": self._unmute,
            "mark": self._mark,
            "calibrate": self._calibrate,
        }

    def take(self, messages: Sequence[Message], output: Output | None = None) -> None:
        """Keep the health of each source, and collect for a baseline that was asked for."""
        for message in messages:
            if message.topic == HEALTH:
                payload = dict(message.payload)
                self._health_payloads[payload["source"]] = payload
        if isinstance(output, Estimate) and self._measuring is not None:
            self._collect(self._measuring, output)

    def asks(self) -> Iterable[Notice]:
        over, self._over = self._over, []
        return over

    def _collect(self, measuring: BaselineCollector, estimate: Estimate) -> None:
        if not measuring.add(estimate):
            return
        self._measuring = None
        at_ns = estimate.window.end_ns
        try:
            write(self._controlled.baseline, measuring.measured())
        except UserError as error:
            self._over.append(Notice(NoticeKind.NOT_CALIBRATED, at_ns, None, str(error)))
            return
        steps = ", ".join(f"{m} {n}" for m, n in measuring.valid.items())
        self._over.append(Notice(NoticeKind.CALIBRATED, at_ns, None, f"measured on steps: {steps}"))

    def _info(self) -> dict[str, Any]:
        return {"info": self._controlled.info()}

    def _time(self) -> dict[str, Any]:
        return {"now_ns": self._clock.now_ns(), "utc_ns": time.time_ns()}

    def _health(self) -> dict[str, Any]:
        return {"health": dict(self._health_payloads)}

    def _read_config(self) -> dict[str, Any]:
        return {"config": self._controlled.config}

    def _pause(self) -> dict[str, Any]:
        if self._hold(Cause.PAUSED, *CaptureDevice):
            self._say(NoticeKind.PAUSED, None, "paused by request")
        return {}

    def _resume(self) -> dict[str, Any]:
        if self._release(Cause.PAUSED, *CaptureDevice):
            self._say(NoticeKind.RESUMED, None, "resumed by request")
        return {}

    def _mute(self, device: str) -> dict[str, Any]:
        known = _known(device)
        if self._hold(Cause.MUTED, known):
            self._say(NoticeKind.MUTED, AFFECTS[known][0], f"the {known} is muted by request")
        return {}

    def _unmute(self, device: str) -> dict[str, Any]:
        known = _known(device)
        if self._release(Cause.MUTED, known):
            self._say(NoticeKind.UNMUTED, AFFECTS[known][0], f"the {known} is unmuted by request")
        return {}

    def _mark(self, label: str) -> dict[str, Any]:
        if not 0 < len(label) <= LONGEST_LABEL:
            raise UserError(f"a label has 1 to {LONGEST_LABEL} characters.")
        return {"t_ns": self._say(NoticeKind.MARK, None, label)}

    def _calibrate(self) -> dict[str, Any]:
        if not self._controlled.captures:
            raise UserError(
                "a clip is played, and a calibration is of the person before camera and microphone."
            )
        if len(self._pipes) > 1:
            raise UserError("a calibration is of one person, and there are several sources.")
        if self._controlled.calibrated:
            raise UserError("a calibration is measured without one; start without --calibrated.")
        with self._lock:
            if self._measuring is not None:
                raise UserError("a calibration is being measured already.")
            self._measuring = BaselineCollector(self._controlled.checkpoint, CALIBRATION_S)
        return {"seconds": CALIBRATION_S}

    def _hold(self, cause: Cause, *devices: CaptureDevice) -> bool:
        """Hold the devices for `cause`; return whether any was not held before."""
        now_ns = self._clock.now_ns()
        new = [p.ingest.hold(device, cause, now_ns) for p in self._pipes for device in devices]
        return any(new)

    def _release(self, cause: Cause, *devices: CaptureDevice) -> bool:
        now_ns = self._clock.now_ns()
        was = [p.ingest.release(device, cause, now_ns) for p in self._pipes for device in devices]
        return any(was)

    def _say(self, kind: NoticeKind, modality: Modality | None, detail: str) -> int:
        """Have a notice published; return its time."""
        now_ns = self._clock.now_ns()
        self._pipes[0].ask(Asked(kind, now_ns, modality, detail))
        return now_ns


def _known(device: str) -> CaptureDevice:
    try:
        return CaptureDevice(device)
    except ValueError:
        raise UserError(f"the device is one of {', '.join(CaptureDevice)}.") from None
