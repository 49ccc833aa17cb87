"""Turns a config into a running session: it opens the sources, the clock and the models."""

from __future__ import annotations

import hashlib
import json
import platform
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

from normtr.media import Media
from normtr.spec import MODALITIES
from stream.capture import camera, microphone
from stream.capture.clip import RealTimeClip
from stream.clock import Monotonic
from stream.pipeline.ingest import Source
from stream.pipeline.models import Models
from stream.pipeline.outputs import Sent
from stream.pipeline.pipe_config import PipeConfig
from stream.pipeline.window_assembler import Estimate
from stream.pipeline.worker_supervisor import Around
from stream.session import virtual
from stream.session.realtime import Session
from stream.session.source_config import DEMO, SourceConfig
from stream.session.source_session import SourceSpec

USUAL_SIZE = (480, 640)
"""The height and width that most cameras start with."""
LOADING = "Loading the recognizer: its networks (1 to 3 s)"


@dataclass(frozen=True)
class Opened:
    """A session that is ready to be iterated over."""

    sources: tuple[str, ...]
    """The names of the sources, without folders; no two are alike."""
    session: str
    origin_ns: int
    virtual: bool
    models: Models
    stream: Iterator[Sent]
    realtime: Session | None
    captures: bool
    """Whether a camera or a microphone records a person."""
    remark: str = ""
    """The reason why the demo clip is played; empty if it is not."""

    @property
    def name(self) -> str:
        """The names of all sources, joined."""
        return ", ".join(self.sources)

    def info(self) -> dict[str, Any]:
        """Return the body of the `info` message."""
        checkpoint = self.models.checkpoint
        now = not self.virtual
        return {
            "labels": list(checkpoint.labels),
            "modalities": list(MODALITIES),
            "spec": json.loads(json.dumps(checkpoint.spec.to_dict())),
            "spec_sha256": checkpoint.spec.sha256(),
            "model": checkpoint.sha256,
            "origin_ns": self.origin_ns,
            "clock": {
                "monotonic_ns": Monotonic().now_ns() if now else None,
                "utc_ns": time.time_ns() if now else None,
            },
            "source": self.name,
            "sources": list(self.sources),
            "captures": self.captures,
            "virtual": self.virtual,
            "calibrated": self.models.baseline is not None,
            "versions": {
                "python": platform.python_version(),
                **{name: version(name) for name in ("normtr", "openvino", "numpy", "pyzmq")},
                **({"torch": version("torch")} if self.models.device.gpu else {}),
            },
        }


def open_session(
    config: SourceConfig,
    *,
    repeat: bool = False,
    wait: bool = False,
    say: Callable[[str], None] = lambda sentence: None,
    around: Around = lambda worker: worker,
    through: Callable[[Source], Source] = lambda source: source,
) -> Opened:
    """Open the sources and load the models. Raises UserError with one sentence.

    `repeat` begins a clip again that is shorter than `seconds` (for benchmarks). `wait` waits for
    missing devices instead of playing the demo clip. `say` is told what goes on. In real time
    `around` wraps every worker and `through` every source, for example to make them fail.
    """
    wanted, remark = config.sources, ""
    if not wanted:
        remark = "" if wait or _names_devices(config) else _missing_device(config)
        if remark or config.fast:
            wanted = (str(DEMO),)
    if remark:
        say(f"{remark} Playing the demo clip instead.")
    if config.fast:
        return _virtual(config, wanted[0], remark, say)
    clips = [RealTimeClip(source, config.seconds, repeat) for source in wanted]
    say(LOADING)
    models = Models(config, max(len(clips), 1))
    given = _given(config, clips, models, through)
    session = Session(config, given, Monotonic(), config.seconds, around)
    return Opened(
        tuple(one.name for one in given),
        uuid.uuid4().hex[:16],
        session.origin_ns,
        False,
        models,
        _unless_all_broke(session, clips),
        session,
        not clips,
        remark,
    )


def estimates(config: SourceConfig | None = None) -> Iterator[Estimate]:
    """Yield estimates as they are made; nothing is published.

    Each estimate names its `source`; with several sources, one of each comes at every tick. Closing
    the iterator ends the session. Raises UserError with one sentence when a source, a device or the
    checkpoint cannot be used.
    """
    for _, output in open_session(config or SourceConfig()).stream:
        if isinstance(output, Estimate):
            yield output


def _given(
    config: SourceConfig,
    clips: Sequence[RealTimeClip],
    models: Models,
    through: Callable[[Source], Source],
) -> list[SourceSpec]:
    """Return the sources with their models, warmed up: one for each clip, or one for the
    devices."""
    if not clips:
        models.warm_up(USUAL_SIZE)
        devices = [through(device) for device in _devices(config)]
        name = " and ".join(d for device in devices for d in device.devices)
        return [SourceSpec(name, devices, models)]
    given: list[SourceSpec] = []
    for clip, name in zip(clips, unlike([clip.media.name for clip in clips]), strict=True):
        own = models.another() if given else models
        own.warm_up(clip.media.picture_size or USUAL_SIZE)
        given.append(SourceSpec(name, [through(clip)], own))
    return given


def unlike(names: Sequence[str]) -> list[str]:
    """Return the names, with `#2` and so on after those that occurred before."""
    out: list[str] = []
    for name in names:
        numbered = (name if n == 1 else f"{name}#{n}" for n in count(1))
        out.append(next(new for new in numbered if new not in out))
    return out


def _virtual(config: SourceConfig, source: str, remark: str, say: Callable[[str], None]) -> Opened:
    media = Media(source)
    say(LOADING)
    models = Models(config)
    identity = hashlib.sha256()
    if Path(source).is_file():
        identity.update(Path(source).read_bytes())
    named = {field.name for field in fields(PipeConfig)} - {"checkpoint", "personal"} | {"seconds"}
    settings = {key: value for key, value in asdict(config).items() if key in named}
    identity.update(json.dumps(settings, sort_keys=True, default=str).encode())
    identity.update(models.checkpoint.sha256.encode())
    if models.baseline is not None:
        identity.update(json.dumps(asdict(models.baseline), sort_keys=True).encode())
    stream = virtual.outputs(config, models, media, config.seconds)
    session = identity.hexdigest()[:16]
    return Opened((media.name,), session, 0, True, models, stream, None, False, remark)


def _names_devices(config: SourceConfig) -> bool:
    """Return whether the config names a device; then that device is waited for."""
    return config.camera != SourceConfig.camera or config.microphone is not None


def _missing_device(config: SourceConfig) -> str:
    """Return why the wanted devices cannot be used; empty when they can."""
    reasons = []
    if config.face == "on" and (reason := camera.unusable(config.camera)):
        reasons.append(reason)
    if (config.voice, config.text) != ("off", "off") and (
        reason := microphone.unusable(config.microphone)
    ):
        reasons.append(reason)
    return " ".join(reasons)


def _devices(config: SourceConfig) -> list[Source]:
    sources: list[Source] = []
    if config.face == "on":
        sources.append(camera.Camera(config.camera, config.camera_latency_ms))
    if (config.voice, config.text) != ("off", "off"):
        latency_ms = config.microphone_latency_ms
        sources.append(microphone.Microphone(config.microphone, latency_ms))
    return sources


def _unless_all_broke(session: Session, clips: Sequence[RealTimeClip]) -> Iterator[Sent]:
    """Yield what the session gives. Raises a clip's UserError at the end if all clips broke."""
    yield from session
    errors = [clip.error for clip in clips if clip.error is not None]
    if errors and len(errors) == len(clips):
        raise errors[0]
