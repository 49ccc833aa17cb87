"""A person's neutral steps, collected from a session: for `normtr calibrate` and the control port."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from normtr.checkpoint import Checkpoint
from normtr.errors import UserError
from normtr.personal import FEWEST, Personal, measured, write
from normtr.window import NONE, Row
from stream.pipeline.window_assembler import Estimate
from stream.session.session import Opened, open_session
from stream.session.source_config import SourceConfig

START_LIMIT_S = 20.0
"""How long the devices may take until something of the person is seen or heard."""


class Neutral:
    """Collects the rows of a session's steps, each as the estimate that closed it saw it."""

    def __init__(self, checkpoint: Checkpoint, seconds: float) -> None:
        """`seconds`: how long, from the first step that holds anything of the person."""
        self.step_s = checkpoint.spec.step_ms / 1000
        self.wanted = max(1, round(seconds / self.step_s))
        """So many steps."""
        self._checkpoint = checkpoint
        self._waited = 0
        self._rows: dict[str, list[Row]] = {m: [] for m in FEWEST}
        self.steps = 0
        """How many have passed since the first that held anything of the person."""

    @property
    def valid(self) -> dict[str, int]:
        """Steps that gave a row, per modality."""
        return {m: len(rows) for m, rows in self._rows.items()}

    def add(self, estimate: Estimate) -> bool:
        """Whether it is over: enough steps have passed, or nobody came for a long time."""
        for m, rows in self._rows.items():
            if estimate.window.gaps[m][-1] == NONE:
                rows.append(estimate.window.rows[m][-1])
        if any(self.valid.values()):
            self.steps += 1
        else:
            self._waited += 1
        return self.steps >= self.wanted or self._waited * self.step_s >= START_LIMIT_S

    def personal(self) -> Personal:
        """Raises UserError when too little was valid."""
        return measured(self._checkpoint, self._rows)


def calibrate(config: SourceConfig, seconds: float, path: Path, console: Console) -> None:
    """Measure whom the config's source shows, and write it to `path`. Raises UserError."""
    opened = open_session(replace(config, seconds=None))  # devices take a while to start
    if opened.remark:
        raise UserError(f"{opened.remark} Nobody can be measured; name a clip with --source.")
    what = (
        "look at the camera with your face at rest and read something aloud, without any emotion"
        if opened.captures
        else "it is taken for a neutral face and voice"
    )
    console.print(
        f"Reading {opened.name} for {seconds:g} s: {what}.\nNo picture and no sound is kept. Some "
        f"numbers go into {path}, which only you can read; nothing leaves this machine.",
        soft_wrap=True,
    )
    personal = _collected(opened, seconds, console).personal()
    write(path, personal)
    _tell(console, personal, opened.models.checkpoint.labels)


def _collected(opened: Opened, seconds: float, console: Console) -> Neutral:
    neutral = Neutral(opened.models.checkpoint, seconds)
    with Progress(BarColumn(), TextColumn("{task.description}"), console=console) as progress:
        task = progress.add_task("waiting for you", total=neutral.wanted)
        for _, output in opened.stream:
            if not isinstance(output, Estimate):
                continue
            over = neutral.add(output)
            valid = neutral.valid.items()
            counts = ", ".join(f"{m} {n * neutral.step_s:.1f} s" for m, n in valid)
            progress.update(task, completed=neutral.steps, description=counts)
            if over:
                break
    return neutral


def _tell(console: Console, personal: Personal, labels: tuple[str, ...]) -> None:
    for m, bias in personal.bias.items():
        named = sorted(zip(labels, bias, strict=True), key=lambda pair: -abs(pair[1]))[:3]
        most = ", ".join(f"{label} {-value:+.2f}" for label, value in named)
        console.print(f"{m}, from {personal.steps[m]} steps: log-odds of {most}.", soft_wrap=True)
    for m in sorted(set(FEWEST) - set(personal.bias)):
        console.print(f"{m}: too few steps ({personal.steps[m]}), it stays as it is.")
    console.print("`normtr live --calibrated` uses this; `normtr calibrate --delete` removes it.")
