"""Draw the README's pictures from the demo clip: `make picture`.

The program's own code draws the terminal view as SVG and the timeline as PNG.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from stream.session.session import DEMO
from stream.views import status
from tests.support.recorded import affects_with_words

AT_S = 9.0
FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
# Rich's own template, less the web font it would load from another host.
FRAME = """<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>.{unique_id}-matrix {{ font-family: monospace; white-space: pre; font-size: {char_height}px;
line-height: {line_height}px; }} {styles}</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect width="{terminal_width}"
height="{terminal_height}"/></clipPath>{lines}</defs>
<rect fill="#1b1b1b" width="{width}" height="{height}" rx="8"/>
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}<g class="{unique_id}-matrix">{matrix}</g></g></svg>
"""


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "demo.jsonl"
        subprocess.run(
            [
                *(sys.executable, "-m", "normtr", "live", "--source", str(DEMO), "--fast"),
                *("--words", "--record", str(record), "--timeline", FOLDER / "timeline.png"),
                "--force",
            ],
            check=True,
        )
        affects = affects_with_words(record)
        payload, words = next(pair for pair in affects if pair[0]["t_ns"] >= AT_S * 1e9)
    console = Console(record=True, width=86, file=io.StringIO(), force_terminal=True)
    spoken = [word.text for word in words[-12:]]
    console.print(status.status(payload, "playing demo.mp4", spoken))
    svg = console.export_svg(title="", theme=MONOKAI, code_format=FRAME, unique_id="view")
    (FOLDER / "terminal.svg").write_text(svg)


if __name__ == "__main__":
    main()
