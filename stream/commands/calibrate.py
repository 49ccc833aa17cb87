"""`normtr calibrate` measures a person's bias on some seconds of their neutral face and voice."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from normtr import data_folder
from normtr.config import parse
from normtr.errors import UsageError, UserError
from normtr.whole_file import refuse_existing
from stream.pipeline.pipe_config import Switch
from stream.session.source_config import SourceConfig

MAX_BYTES = 10_000
"""A calibration is smaller."""


@dataclass(frozen=True)
class Calibrate(SourceConfig):
    """Measure the bias of your neutral face and voice (without it, actors fared no better)."""

    seconds: float | None = 10.0
    """How long to measure, from the first time that you are seen or heard."""
    text: Switch = "off"
    """Words are not needed."""
    force: bool = False
    """Replace a calibration that exists."""
    delete: bool = False
    """Delete the calibration instead, or the one that --personal names."""


def run(argv: list[str]) -> int:
    config = parse(Calibrate, argv, "calibrate")
    path = config.personal or data_folder.calibration()
    console = Console(stderr=True)
    if config.delete:
        there = path.is_file()
        if there and path != data_folder.calibration() and not _is_calibration(path):
            raise UserError(f"{path} is no calibration, so it stays.")
        path.unlink(missing_ok=True)
        console.print(f"{path} {'is deleted' if there else 'was not there'}.", soft_wrap=True)
        return 0
    if config.calibrated:
        raise UsageError("a calibration is measured without one; leave --calibrated out.")
    if config.fast and not config.sources:
        raise UsageError("--fast plays a clip in virtual time; name yours with --source FILE.")
    if len(config.sources) > 1:
        raise UsageError("a calibration is of one person; give one --source.")
    seconds = 10.0 if config.seconds is None else config.seconds
    refuse_existing(path, config.force)
    config.check_files()
    console.print("Loading the recognizer (about 6 s)", highlight=False)
    from stream.commands.calibrate_session import calibrate

    calibrate(config, seconds, path, console)
    return 0


def _is_calibration(path: Path) -> bool:
    """Whether a file that somebody named looks like one of ours, of whatever weights."""
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and {"model", "bias"} <= found.keys()
