"""Shows what `normtr doctor` found as a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stream.capture.device_probe import Finding

PICTURE_COLUMNS = 48


def show(findings: Sequence[Finding]) -> None:
    """Print the findings on standard output, with a small picture of each camera that gave one."""
    table = Table(box=None, show_header=False, padding=(0, 1))
    signs = {"ok": "[green]✓", "warning": "[yellow]!", "missing": "[red]✗"}
    for finding in findings:
        detail = Text(finding.detail)
        if finding.fix:
            detail.append(f"\n→ {finding.fix}", "bold")
        table.add_row(signs[finding.state], finding.what, detail)
    console = Console()
    console.print(table)
    for finding in findings:
        if finding.frame is not None:
            console.print(f"\n{finding.what}:", _small(finding.frame), sep="\n")


def _small(frame: NDArray[np.uint8]) -> Text:
    """Draw a frame uint8 [H, W, 3] as half blocks, two pixels for each character."""
    import cv2

    rows = max(1, round(PICTURE_COLUMNS * frame.shape[0] / frame.shape[1] / 2))
    pixels = cv2.resize(frame, (PICTURE_COLUMNS, 2 * rows), interpolation=cv2.INTER_AREA)
    text = Text()
    for upper, lower in zip(pixels[::2], pixels[1::2], strict=True):
        for (r, g, b), (r2, g2, b2) in zip(upper, lower, strict=True):
            text.append("▀", f"rgb({r},{g},{b}) on rgb({r2},{g2},{b2})")
        text.append("\n")
    return text
