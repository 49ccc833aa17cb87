"""`normtr calibrate`: a person's bias, measured on some seconds of their neutral face and voice."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from normtr.checkpoint import Checkpoint
from normtr.config import parse
from normtr.errors import UsageError, UserError
from normtr.personal import FEWEST, Personal, measured, usual_path, write
from normtr.window import NONE, Row
from stream.pipe_config import Switch
from stream.recognizer import Estimate
from stream.session import Opened, SourceConfig, open_session

START_LIMIT_S = 20.0
"""How long the devices may take until something of the person is seen or heard."""


@dataclass(frozen=True)
class Calibrate(SourceConfig):
    """Measure the bias of your neutral face and voice (without it, actors fared no better)."""

    seconds: float | None = 10.0
    """How long, from the first time that you are seen or heard."""
    text: Switch = "off"
    """Words are not needed."""
    delete: bool = False
    """Delete the calibration instead."""


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


def run(argv: list[str]) -> int:
    config = parse(Calibrate, argv, "calibrate")
    path = config.personal or usual_path()
    console = Console(stderr=True)
    if config.delete:
        there = path.is_file()
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
    if seconds <= 0:
        raise UsageError(f"--seconds must be above 0, not {seconds:g}.")
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
    neutral = _collected(opened, seconds, console)
    personal = neutral.personal()
    write(path, personal)
    _tell(console, personal, opened.models.checkpoint.labels)
    return 0


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
