"""`normtr live` recognises from webcam and microphone or a clip, publishes and shows."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from rich.console import Console

from normtr.config import parse
from normtr.errors import UserError
from stream.commands import overlay
from stream.commands.doors import doors
from stream.commands.live_config import Live
from stream.interrupts import Interrupts
from stream.publish import output_files
from stream.views.terminal import Patient


def main(argv: list[str]) -> NoReturn:
    """Run the verb and end the process, even if a thread hangs in a driver."""
    os._exit(run(argv))


def run(argv: list[str]) -> int:
    config = parse(Live, argv, "live")
    interrupts = Interrupts()
    out, error_out = Patient(sys.stdout), Patient(sys.stderr)
    try:
        _recognise(config, out.console(), error_out.console(), interrupts)
        status = interrupts.status
    except KeyboardInterrupt:
        status = interrupts.status
    except UserError as error:
        print(f"normtr live: {error}", file=error_out)
        status = error.status
    out.close()
    error_out.close()
    return status


def _recognise(config: Live, out: Console, console: Console, interrupts: Interrupts) -> None:
    """Check the command within a second, before anything is loaded; then recognise."""
    output_files.check(config.outputs, config.force)
    config.check_files()
    if config.overlay:
        overlay.check()
    with doors(config) as opened:
        console.print("Loading the recognizer: its libraries (1 s)", highlight=False)
        from stream.commands.live_session import recognise

        found = recognise(config, opened, console, interrupts)
    for source, summary in found.summaries.items():
        if len(found.summaries) > 1:
            out.rule(source)
        out.print(summary.render())
    summary = next(iter(found.summaries.values()))
    if config.timeline is not None and summary.estimates:
        from stream.views import timeline

        timeline.draw(config.timeline, summary, found.words, found.name)
