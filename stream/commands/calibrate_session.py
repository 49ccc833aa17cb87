"""One session of `normtr calibrate`: it measures a person and writes the baseline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from normtr.errors import UserError
from normtr.user_baseline import FEWEST, UserBaseline, write
from stream.pipeline.baseline_collector import BaselineCollector
from stream.pipeline.window_assembler import Estimate
from stream.session.session import Opened, open_session
from stream.session.source_config import SourceConfig


def calibrate(config: SourceConfig, seconds: float, path: Path, console: Console) -> None:
    """Measure the person in the config's source, and write the baseline to `path`.

    Raises UserError when nobody can be measured.
    """
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
    baseline = _collected(opened, seconds, console).measured()
    write(path, baseline)
    _tell(console, baseline, opened.models.checkpoint.labels)


def _collected(opened: Opened, seconds: float, console: Console) -> BaselineCollector:
    baseline = BaselineCollector(opened.models.checkpoint, seconds)
    with Progress(BarColumn(), TextColumn("{task.description}"), console=console) as progress:
        task = progress.add_task("waiting for you", total=baseline.wanted)
        for _, output in opened.stream:
            if not isinstance(output, Estimate):
                continue
            over = baseline.add(output)
            valid = baseline.valid.items()
            counts = ", ".join(f"{m} {n * baseline.step_s:.1f} s" for m, n in valid)
            progress.update(task, completed=baseline.steps, description=counts)
            if over:
                break
    return baseline


def _tell(console: Console, baseline: UserBaseline, labels: tuple[str, ...]) -> None:
    for m, bias in baseline.bias.items():
        named = sorted(zip(labels, bias, strict=True), key=lambda pair: -abs(pair[1]))[:3]
        most = ", ".join(f"{label} {-value:+.2f}" for label, value in named)
        console.print(f"{m}, from {baseline.steps[m]} steps: log-odds of {most}.", soft_wrap=True)
    for m in sorted(set(FEWEST) - set(baseline.bias)):
        console.print(f"{m}: too few steps ({baseline.steps[m]}), it stays as it is.")
    console.print("`normtr live --calibrated` uses this; `normtr calibrate --delete` removes it.")
