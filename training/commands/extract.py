"""`normtr extract`: makes a cache of rows to train on from media files and a table of labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from normtr.config import parse
from normtr.errors import UsageError, UserError
from normtr.progress import say
from normtr.shipped import SHIPPED

NAMED = 5
"""A message names at most this many clips or people."""


@dataclass(frozen=True)
class Extract:
    """Compute the rows of clips as they are computed live, into a cache to train on."""

    media: Path
    """Folder of the clips."""
    labels: Path
    """CSV with the columns clip (a path inside the folder), split (train, valid or test), label and
    person. Labels are numbers if all can be read as numbers and one is not whole; otherwise they
    are classes."""
    out: Path
    """Folder of the cache. A stopped extraction goes on; a finished one is brought up to date."""
    checkpoint: Path = SHIPPED
    """Folder of the recognizer whose networks make the rows."""
    text: Literal["on", "off"] = "on"
    """Whether speech is transcribed (English)."""
    jobs: int | None = None
    """Processes, which need about 1 GB each; one for each core if not given."""
    regression: bool = False
    """Read labels as numbers even if all are whole."""
    shared_people: bool = False
    """Allow a person to be in two splits."""
    allow_skipped: bool = False
    """End with status 0 although clips were skipped."""


def run(argv: list[str]) -> int:
    config = parse(Extract, argv, "extract")
    if config.jobs is not None and config.jobs < 1:
        raise UsageError(f"--jobs must be at least 1, not {config.jobs}.")
    if not config.media.is_dir():
        raise UserError(f"there is no folder {str(config.media)!r}.")
    say("Loading libraries (2 s), then the networks (3 s)")
    from training.data.extraction import clip_table
    from training.data.extraction.extraction import extract

    table = clip_table.read(config.labels, config.regression)
    shared = table.people_in_two_splits()
    if shared and not config.shared_people:
        raise UserError(
            f"in two splits: {_some(shared)}; a network would be tested on people it knows. "
            "--shared-people allows it."
        )
    _say_unnamed(config.media, [clip.id for clip in table.clips])
    manifest = extract(
        table,
        config.media,
        config.out,
        config.checkpoint,
        text=config.text == "on",
        jobs=config.jobs,
    )
    kinds = "numbers" if table.classes is None else f"{len(table.classes)} classes"
    say(f"{config.out}: {len(manifest.clips)} clips, labels are {kinds}")
    if not manifest.skipped:
        return 0
    skipped = f"{len(manifest.skipped)} of {len(table.clips)} clips were skipped ({_some(sorted(manifest.skipped))})"
    if config.allow_skipped:
        say(f"{skipped}.")
        return 0
    say(
        f"{skipped}; the cache holds the others and says why. With --allow-skipped this is no failure."
    )
    return 1


def _say_unnamed(media: Path, clips: Sequence[str]) -> None:
    """Print which files of the same kinds as the clips are not in the table."""
    named = {media / clip for clip in clips}
    kinds = {path.suffix for path in named}
    rest = [
        str(path.relative_to(media))
        for path in sorted(media.rglob("*"))
        if path.suffix in kinds and path not in named and path.is_file()
    ]
    if rest:
        say(f"not in the table, so left out: {_some(rest)}")


def _some(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
