"""The settings of `normtr live`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from normtr.errors import UsageError
from stream.client.control_client import beside
from stream.session.source_config import SourceConfig
from stream.wire import ADDRESS


@dataclass(frozen=True)
class Live(SourceConfig):
    """Recognise from webcam and microphone, or from --source FILE|URL, and publish."""

    record: Path | None = None
    """Write every published message here, one JSON line each."""
    record_gaps: Path | None = None
    """Write here why steps were missing, one JSON line each, and nothing else."""
    timeline: Path | None = None
    """Draw the session into this PNG at the end; the words are drawn only with --words."""
    force: bool = False
    """Replace existing files of --record, --record-gaps and --timeline."""
    bind: str = ADDRESS
    """Where to publish; other machines only with --curve-keys."""
    control: str | None = None
    """Where requests are answered, or `off`; without it, on the port after that of --bind."""
    curve_keys: Path | None = None
    """Folder of CURVE keys (`normtr keys`): only the clients on its list are served."""
    words: bool = False
    """Publish and show the words (`er.v1.text`); they identify people."""
    overlay: bool = False
    """Show it on the desktop, too, as `normtr overlay` does."""
    lsl: bool = False
    """Send the estimates to Lab Streaming Layer, too; everyone on the network can read them."""
    faces: bool = False
    """Publish to subscribers where each face is and what it alone says (`er.v1.face`)."""
    frames: bool = False
    """Publish to subscribers small pictures of the camera (`er.v1.frame`)."""

    @property
    def outputs(self) -> dict[str, Path | None]:
        """The files to write, by the option that names each."""
        return {
            "--record": self.record,
            "--record-gaps": self.record_gaps,
            "--timeline": self.timeline,
        }

    @property
    def requests(self) -> str:
        """The address of the control port, or `off`."""
        return self.control or beside(self.bind)

    def __post_init__(self) -> None:
        """Raise UsageError for options that exclude each other."""
        super().__post_init__()
        self.of_one_source("timeline", "record_gaps")
        if self.fast and self.source is None:
            raise UsageError("--fast plays a clip in virtual time; give one with --source FILE.")
        if self.fast and self.lsl:
            raise UsageError("--lsl sends in real time; leave --fast out.")
        if self.overlay and self.fast:
            raise UsageError("--overlay shows what happens now; leave --fast out.")
        if self.overlay and self.curve_keys is not None:
            raise UsageError("--overlay has no keys to open a locked recognizer; leave it out.")
