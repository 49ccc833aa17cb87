"""What is recognised, and from what: the settings of a session."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from normtr import source_file
from normtr.errors import UsageError, UserError
from stream.pipeline.pipe_config import PipeConfig

DEMO = Path(__file__).parents[1] / "demo.mp4"


@dataclass(frozen=True)
class SourceConfig(PipeConfig):
    """What is recognised, how, and from what."""

    source: str | tuple[str, ...] | None = None
    """A file or URL; several by an option for each. Without it webcam and microphone, and the demo
    clip where one is missing; a device that is named is waited for instead."""
    seconds: float | None = None
    """End after so many seconds of event time."""
    fast: bool = False
    """Play a clip in virtual time: nothing is measured, the same bytes come out each time."""
    camera: str = "0"
    """Index or part of the name of the camera, or a device path or URL that OpenCV opens."""
    microphone: str | None = None
    """Index or part of the name of a sound input; without it the system's default."""
    camera_latency_ms: float = 0.0
    """How much earlier a picture was taken than the camera says."""
    microphone_latency_ms: float = 0.0
    """How much earlier the sound was made than the microphone says."""

    def __post_init__(self) -> None:
        """Raises UsageError for a time that cannot be, and for what has no meaning together."""
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
        """Raise UserError where a source or the checkpoint is not there, without opening any."""
        for source in self.sources:
            source_file.check(source)
        if not self.checkpoint.is_dir():
            raise UserError(f"there is no folder {str(self.checkpoint)!r} with a checkpoint.")

    def of_one_source(self, *names: str) -> None:
        """Raises UsageError where one of these fields is given and there are several sources."""
        for name in names:
            if len(self.sources) > 1 and getattr(self, name) is not None:
                option = name.replace("_", "-")
                raise UsageError(f"--{option} is of one source; give one --source.")

    @property
    def sources(self) -> tuple[str, ...]:
        """The files or URLs; none: the devices."""
        if self.source is None or isinstance(self.source, tuple):
            return self.source or ()
        return (self.source,)
