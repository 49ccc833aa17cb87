"""The settings of a session: what is recognised, and from which source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from normtr import source_file
from normtr.errors import UsageError, UserError
from stream.pipeline.pipe_config import PipeConfig

DEMO = Path(__file__).parents[1] / "demo.mp4"


@dataclass(frozen=True)
class SourceConfig(PipeConfig):
    """What is recognised, how, and from which source."""

    source: str | tuple[str, ...] | None = None
    """A file or URL; give the option again for more. Without it, webcam and microphone are used,
    and the demo clip if one is missing; a device that you name is waited for instead."""
    seconds: float | None = None
    """End after this many seconds of event time."""
    fast: bool = False
    """Play a clip in virtual time: nothing is measured, and each run gives the same bytes."""
    camera: str = "0"
    """Index of the camera, part of its name, or a device path or URL that OpenCV opens."""
    microphone: str | None = None
    """Index of a sound input, or part of its name; without it the system's default."""
    camera_latency_ms: float = 0.0
    """How much earlier a picture was taken than the camera says."""
    microphone_latency_ms: float = 0.0
    """How much earlier the sound was made than the microphone says."""

    def __post_init__(self) -> None:
        """Raise UsageError for a time out of range and for options that exclude each other."""
        super().__post_init__()
        if self.seconds is not None and not self.seconds > 0:
            raise UsageError(f"--seconds must be above 0, not {self.seconds:g}.")
        for name in ("camera_latency_ms", "microphone_latency_ms"):
            if not 0.0 <= getattr(self, name) <= 1000.0:
                option = name.replace("_", "-")
                raise UsageError(
                    f"--{option} lies between 0 and 1000, not {getattr(self, name):g}."
                )
        if len(self.sources) > 1 and self.fast:
            raise UsageError("--fast plays one clip; give one --source.")
        if len(self.sources) > 1 and self.calibrated:
            raise UsageError("--calibrated knows one person; give one --source.")

    def check_files(self) -> None:
        """Raise UserError when a source or the checkpoint does not exist; nothing is opened."""
        for source in self.sources:
            source_file.check(source)
        if not self.checkpoint.is_dir():
            raise UserError(f"there is no folder {str(self.checkpoint)!r} with a checkpoint.")

    def of_one_source(self, *names: str) -> None:
        """Raise UsageError when one of these fields is given and there are several sources."""
        for name in names:
            if len(self.sources) > 1 and getattr(self, name) is not None:
                option = name.replace("_", "-")
                raise UsageError(f"--{option} is of one source; give one --source.")

    @property
    def sources(self) -> tuple[str, ...]:
        """The files or URLs; empty when the devices are used."""
        if self.source is None or isinstance(self.source, tuple):
            return self.source or ()
        return (self.source,)
