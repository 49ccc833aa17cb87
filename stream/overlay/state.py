"""Turns messages into what an overlay shows. It knows no window, socket or clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from normtr.cause import Cause
from normtr.modality import Modality
from stream.client.received import Affect, Info, Notify, Received
from stream.pipeline.stages import CaptureDevice
from stream.views.history import Column, History
from stream.views.labels_and_colours import MODALITY_LOOKS, NOTHING, name, notice_text, reason
from stream.wire import NoticeKind

STALE_S = 1.2
"""Without an estimate for this long everything is grey. Asking every 0.25 s shows it within
1.5 s."""
NOTE_S = 5.0
"""A notice is shown for this long."""
NO_DATA = "no data"
BRIEF = frozenset(
    {
        *(Cause.DROPPED, Cause.LATE, Cause.NO_FACE, Cause.TURNED_AWAY, Cause.POOR_IMAGE),
        *(Cause.SILENCE, Cause.NO_WORDS),
    }
)
"""Gaps that come and go in ordinary use; a light goes out when none of `LIT_S` was valid."""
LIT_S: dict[str, float] = {Modality.FACE: 1.0, Modality.VOICE: 1.0, Modality.TEXT: 4.0}
ABSENT = frozenset({Cause.OFF, Cause.NO_DEVICE, Cause.NO_TRACK, Cause.DENIED})
"""Causes for which a device is not in use."""


@dataclass(frozen=True)
class Light:
    """A modality's light; `saying` tells why it is out."""

    modality: str
    lit: bool
    saying: str


@dataclass(frozen=True)
class Capture:
    """Whether a person is, or may be, recorded, and in words by what."""

    on: bool
    saying: str


@dataclass(frozen=True)
class Shown:
    """All that an overlay draws. While not `fresh`, everything but `capture` is grey."""

    fresh: bool
    headline: str
    top: str
    """The label that `headline` names; empty if it names none."""
    confidence: float
    bars: tuple[tuple[str, float], ...]
    """Label and probability, in the order of the labels."""
    lights: tuple[Light, ...]
    columns: tuple[Column, ...]
    """The last minute, one column for each second, the latest last."""
    capture: Capture
    note: str
    paused: bool
    muted: frozenset[CaptureDevice]
    """The devices that are muted."""

    def spoken(self) -> str:
        """Return the essentials as a sentence, for screen readers."""
        sure = f", confidence {self.confidence:.0%}" if self.top else ""
        lights = "; ".join(f"{name(x.modality)}: {x.saying}" for x in self.lights)
        return ". ".join(filter(None, (self.headline + sure, lights, self.capture.saying)))


class OverlayState:
    """Takes what arrives and follows the source heard first, until it falls silent.

    Times are seconds of any clock.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._begin("")

    def _begin(self, session: str) -> None:
        self._session = session
        self._affect: Affect | None = None
        self._info: Info | None = None
        self._history = History()
        self._columns = tuple(self._history.columns())
        self._heard_s = 0.0
        self._ended = False
        self._note, self._noted_s = "", -NOTE_S

    def add(self, message: Received, now_s: float) -> None:
        if message.session != self._session:
            self._begin(message.session)
        if isinstance(message, Affect):
            if self._affect is not None and message.source != self._affect.source:
                if now_s - self._heard_s <= STALE_S:
                    return
                self._history = History()
            self._affect, self._heard_s, self._ended = message, now_s, False
            self._history.add(message)
            self._columns = tuple(self._history.columns())
        elif isinstance(message, Info):
            self._info = message
        elif isinstance(message, Notify):
            self._ended = message.kind == NoticeKind.STOPPING
            where = f"{message.source}: " if message.source in self._sources else ""
            where += f"{name(message.modality)}: " if message.modality else ""
            self.tell(where + notice_text(message.kind, message.detail), now_s)

    @property
    def _sources(self) -> tuple[str, ...]:
        """The names of all sources if there are several; else empty."""
        sources = () if self._info is None else self._info.sources
        return sources if len(sources) > 1 else ()

    def tell(self, note: str, now_s: float) -> None:
        """Show a note for `NOTE_S`."""
        self._note, self._noted_s = note, now_s

    def shown(self, now_s: float) -> Shown:
        affect = self._affect
        if affect is None:
            return self._nothing_yet()
        fresh = not self._ended and now_s - self._heard_s <= STALE_S
        causes = {modality: gaps[-1] for modality, gaps in affect.gaps.items()}
        said = affect.smoothed or affect
        paused = Cause.PAUSED in causes.values()
        if not fresh:
            headline = NO_DATA
        elif paused:
            headline = "paused"
        else:
            headline = NOTHING if said.abstained else said.top
        told = fresh and not paused
        return Shown(
            fresh=fresh,
            headline=headline,
            top=said.top if told and not said.abstained else "",
            confidence=within(said.confidence) if told else 0.0,
            bars=tuple(zip(affect.labels, map(within, affect.probabilities), strict=True)),
            lights=tuple(
                _light(modality, gaps, affect.window.step_ns)
                if fresh
                else Light(modality, False, NO_DATA)
                for modality, gaps in affect.gaps.items()
            ),
            columns=self._columns,
            capture=self._capture(affect, causes, fresh),
            note=self._remark(now_s, fresh),
            paused=paused,
            muted=frozenset(
                look.device
                for modality, look in MODALITY_LOOKS.items()
                if causes.get(modality) == Cause.MUTED
            ),
        )

    def _nothing_yet(self) -> Shown:
        return Shown(
            fresh=False,
            headline=NO_DATA,
            top="",
            confidence=0.0,
            bars=(),
            lights=tuple(Light(modality, False, NO_DATA) for modality in Modality),
            columns=self._columns,
            capture=Capture(False, "no recognizer heard"),
            note=self._waiting(),
            paused=False,
            muted=frozenset(),
        )

    def _remark(self, now_s: float, fresh: bool) -> str:
        if now_s - self._noted_s <= NOTE_S:
            return self._note
        if self._ended:
            return "the recognizer has ended"
        return "" if fresh else self._waiting()

    def _waiting(self) -> str:
        return f"nothing arrives from {self._address}"

    def _capture(self, affect: Affect, causes: Mapping[str, str], fresh: bool) -> Capture:
        one = f"{affect.source}, one of {len(self._sources)} sources" if self._sources else ""
        if affect.replay:
            return Capture(False, f"replay of {one or 'a recording'}")
        if self._info is not None and not self._info.captures:
            return Capture(False, f"playing {one or self._info.source}")
        if self._ended:
            return Capture(False, "nothing is captured")
        devices: dict[str, str] = {}  # the voice's cause counts for the microphone
        for modality, look in MODALITY_LOOKS.items():
            cause = causes.get(modality, Cause.OFF)
            if cause not in ABSENT:
                devices.setdefault(look.device, cause)
        if not devices:
            return Capture(False, "no camera or microphone in use")
        names = " and ".join(devices)
        if not fresh:
            return Capture(True, f"{names} may be in use")
        if Cause.PAUSED in devices.values():
            return Capture(True, f"{names} open, paused")
        muted = [device for device, cause in devices.items() if cause == Cause.MUTED]
        used = [device for device in devices if device not in muted]
        parts = [f"{' and '.join(used)} in use"] if used else []
        parts += [f"{' and '.join(muted)} muted"] if muted else []
        return Capture(True, ", ".join(parts))


def _light(modality: str, gaps: Sequence[str], step_ns: int) -> Light:
    steps = max(round(LIT_S.get(modality, 1.0) * 1e9 / step_ns), 1)
    lit = gaps[-1] == Cause.NONE or (gaps[-1] in BRIEF and Cause.NONE in gaps[-steps:])
    return Light(modality, lit, "here" if lit else reason(modality, gaps[-1]))


def within(value: float) -> float:
    """Return the value limited to 0..1, whatever a publisher says; 0 for NaN."""
    return min(max(value, 0.0), 1.0) if value == value else 0.0
