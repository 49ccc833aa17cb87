"""What can be asked of a running session over the control port."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict
from typing import Any

from normtr.errors import UserError
from normtr.personal import usual_path, write
from stream.clock import Monotonic
from stream.pipeline.events import Asked
from stream.pipeline.ingest import AFFECTS
from stream.pipeline.outputs import Notice
from stream.pipeline.window_assembler import Estimate
from stream.publish.control import Verb
from stream.session.session import Opened
from stream.session.source_config import SourceConfig
from stream.session.user_baseline import Neutral

LONGEST_LABEL = 200
CALIBRATION_S = 10.0


class Desk:
    """Verbs are called from the control thread, the rest from the session's."""

    def __init__(self, config: SourceConfig, opened: Opened) -> None:
        """`opened`: in real time."""
        assert opened.realtime is not None
        self.health: dict[str, dict[str, Any]] = {}
        """The newest `health` payload, by source."""
        self._config = config
        self._opened = opened
        self._pipes = [track.pipe for track in opened.realtime.tracks]
        self._clock = Monotonic()
        self._lock = threading.Lock()
        self._neutral: Neutral | None = None

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

    def add(self, estimate: Estimate) -> Notice | None:
        """Collect for a calibration that was asked for; what there is to say at its end."""
        neutral = self._neutral
        if neutral is None or not neutral.add(estimate):
            return None
        self._neutral = None
        at_ns = estimate.window.end_ns
        try:
            write(self._config.personal or usual_path(), neutral.personal())
        except UserError as error:
            return Notice("not_calibrated", at_ns, None, str(error))
        steps = ", ".join(f"{m} {n}" for m, n in neutral.valid.items())
        return Notice("calibrated", at_ns, None, f"measured on steps: {steps}")

    def _info(self) -> dict[str, Any]:
        return {"info": self._opened.info()}

    def _time(self) -> dict[str, Any]:
        return {"now_ns": self._clock.now_ns(), "utc_ns": time.time_ns()}

    def _health(self) -> dict[str, Any]:
        return {"health": dict(self.health)}

    def _read_config(self) -> dict[str, Any]:
        return {"config": json.loads(json.dumps(asdict(self._config), default=str))}

    def _pause(self) -> dict[str, Any]:
        if self._hold("paused", tuple(AFFECTS)):
            self._say("paused", None, "paused by request")
        return {}

    def _resume(self) -> dict[str, Any]:
        if self._release("paused", tuple(AFFECTS)):
            self._say("resumed", None, "resumed by request")
        return {}

    def _mute(self, device: str) -> dict[str, Any]:
        if self._hold("muted", _known(device)):
            self._say("muted", AFFECTS[device][0], f"the {device} is muted by request")
        return {}

    def _unmute(self, device: str) -> dict[str, Any]:
        if self._release("muted", _known(device)):
            self._say("unmuted", AFFECTS[device][0], f"the {device} is unmuted by request")
        return {}

    def _mark(self, label: str) -> dict[str, Any]:
        if not 0 < len(label) <= LONGEST_LABEL:
            raise UserError(f"a label has 1 to {LONGEST_LABEL} characters.")
        return {"t_ns": self._say("mark", None, label)}

    def _calibrate(self) -> dict[str, Any]:
        if not self._opened.captures:
            raise UserError(
                "a clip is played, and a calibration is of the person before camera and microphone."
            )
        if len(self._pipes) > 1:
            raise UserError("a calibration is of one person, and there are several sources.")
        if self._opened.models.personal is not None:
            raise UserError("a calibration is measured without one; start without --calibrated.")
        with self._lock:
            if self._neutral is not None:
                raise UserError("a calibration is being measured already.")
            self._neutral = Neutral(self._opened.models.checkpoint, CALIBRATION_S)
        return {"seconds": CALIBRATION_S}

    def _hold(self, cause: str, devices: tuple[str, ...]) -> bool:
        """Whether any was not held before."""
        now_ns = self._clock.now_ns()
        new = [p.intake.hold(device, cause, now_ns) for p in self._pipes for device in devices]
        return any(new)

    def _release(self, cause: str, devices: tuple[str, ...]) -> bool:
        now_ns = self._clock.now_ns()
        was = [p.intake.release(device, cause, now_ns) for p in self._pipes for device in devices]
        return any(was)

    def _say(self, kind: str, modality: str | None, detail: str) -> int:
        """Have it published; its time."""
        now_ns = self._clock.now_ns()
        self._pipes[0].ask(Asked(kind, now_ns, modality, detail))
        return now_ns


def _known(device: str) -> tuple[str]:
    if device not in AFFECTS:
        raise UserError(f"the device is one of {', '.join(AFFECTS)}.")
    return (device,)
