"""`normtr report`: compares runs in Markdown and pictures."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tqdm import tqdm

from normtr.config import parse
from normtr.errors import UserError
from normtr.whole_file import whole_file
from training import run_folder
from training.evaluation.bootstrap import DRAWS, LEVEL
from training.evaluation.noise_curves import MASK_SEEDS, Protocol
from training.noise import RATES
from training.reports import figures, inside, run_groups, tables
from training.reports.evaluation_result import EvaluationResult, result
from training.reports.measures import measures
from training.reports.probe import RATE
from training.reports.run_groups import RunGroup, Section
from training.samples import Split

Stage = Literal["feature", "word"]
STAGES: tuple[Stage, ...] = ("feature", "word")


@dataclass(frozen=True)
class Report:
    """Compare runs: tables with deviations over seeds, differences with intervals, figures.

    The first run's system is the reference.
    """

    runs: list[str]
    """Run folders, or folders with runs below them."""
    out: Path = Path("runs/report")
    """Folder for report.md and its pictures."""
    split: Split = "test"
    """The split whose samples are judged."""
    noise: str = "steps"
    """What is erased: steps, windows, or modality:NAME (steps of that modality)."""
    mask_stage: Stage = "feature"
    """Erase rows (feature), or words before BERT reads them (word)."""
    force: bool = False
    """Write into a folder that is not empty; files with the report's names are replaced."""


def run(argv: list[str]) -> int:
    config = parse(Report, argv, "report", positional=("runs",))
    run_folder.refuse_filled(config.out, config.force)
    found = run_groups.find([Path(path) for path in config.runs])
    for reason in found.left_out.values():
        print(f"normtr report: left out: {reason}", file=sys.stderr)
    protocol = Protocol(config.noise, config.mask_stage, RATES, MASK_SEEDS)
    try:
        config.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"there can be no folder {config.out}: {error.strerror}.") from None
    results = evaluated(found.runs, config.split, protocol)
    parts = ["# Report\n", _explained()]
    for section in run_groups.sections(results):
        parts += written(section, config.out)
    if found.left_out:
        parts += ["## Left out\n", *(f"- {reason}" for reason in found.left_out.values())]
    path = config.out / "report.md"
    with whole_file(path) as partial:
        partial.write_text("\n".join(parts).rstrip() + "\n", encoding="utf-8")
    print(path)
    return 0


def evaluated(runs: Sequence[Path], split: Split, protocol: Protocol) -> list[EvaluationResult]:
    """Return the results in the order of the runs.

    Runs on the same data are evaluated one after the other, so that the data are loaded once.
    """
    by_data = sorted(runs, key=lambda path: repr(run_folder.read(path).data))
    found = {path: result(path, split, protocol) for path in tqdm(by_data, "runs")}
    return [found[path] for path in runs]


def _explained() -> str:
    return (
        "A system is all runs of equal settings, one for each training seed. A difference is the "
        "mean over the seeds of a system's metric minus the reference's; its interval comes from "
        f"{DRAWS:,} paired bootstraps over whole videos or speakers. It says nothing of other "
        "seeds, whose deviation stands in the tables before. A system is ahead or behind only "
        "where the interval excludes 0. AUILC is the area under a metric over the noise rate, "
        "by trapezoids, not normalised.\n"
    )


def written(section: Section, out: Path) -> list[str]:
    """Return the section's Markdown, and write its pictures into `out`."""
    shown = measures(section.reference.metrics)
    said = tables.caption(section)
    stem = section.name.replace(" ", "-")
    parts = [f"## {section.name}\n", "### Systems\n", tables.groups(section)]
    for title, made in (
        ("Without noise", tables.at_rate_0(section)),
        ("AUILC, rates 0 to 1", tables.areas(section, 1.0)),
        (f"AUILC, rates 0 to {tables.TO:g}", tables.areas(section, tables.TO)),
    ):
        parts += [f"### {title}\n", said, made]
    if section.reference.data.classes is not None:
        parts += ["### Answers without noise\n", said, tables.confusions(section)]
    parts += [
        f"### {LEVEL:.0%} intervals over videos or speakers\n",
        said,
        tables.intervals(section),
    ]
    parts.append("### Differences to the reference\n")
    parts += [said, tables.differences(section)] if section.others else ["No other system.\n"]
    parts += ["### Over noise rates\n", said]
    figures.over_rates(out / f"{stem}-rates.png", section)
    parts += [_picture("Metrics over noise rates", f"{stem}-rates.png")]
    parts += [tables.over_rates(section, measure) for measure in shown[:2]]
    if section.swept():
        figures.sweeps(out / f"{stem}-sweeps.png", section)
        parts += ["### Over one setting\n", said, _picture("Sweeps", f"{stem}-sweeps.png")]
    parts += [
        f"### Lost from rate 0 to {tables.HALF:g}, by mask stage\n",
        *_stages(section),
    ]
    return parts + _within(section.of_norm_tr(), out, stem, said)


def _within(section: Section, out: Path, stem: str, said: str) -> list[str]:
    """Return the Markdown on what happens inside NORM-TR's networks."""
    if not section.groups:
        return []
    figure = f"{stem}-similarity.png"
    inside.densities(out / figure, section)
    parts = ["### Likeness of NRGFs and MFs\n", said, _LIKENESS, _picture("Cosines", figure)]
    parts += [
        "### Linear probes\n",
        said,
        _PROBES,
        tables.probes(section, inside.probes(section)),
    ]
    figure = f"{stem}-attention.png"
    if sentence := inside.attended(out / figure, section):
        parts += ["### Attention of the reference's last block\n", said, f"{sentence}\n"]
        parts.append(_picture("Attention", figure))
    return parts


_LIKENESS = (
    "Kernel densities of cosines between tokens of valid steps without noise, all training seeds "
    "together: the reference and the systems of other noise-aware learning. NRGFs of two samples "
    "show how alike any two are.\n"
)
_PROBES = (
    "A fresh logistic regression on frozen features, trained on the training split: of which "
    "modality is a valid token; and was a modality's slice (mean over its steps) under noise "
    f"`steps` of rate {RATE:g}. The nearer to chance, the better NRGFs hide it. A dash: this "
    "extractor is not used, or there is nothing to tell apart.\n"
)


def _stages(section: Section) -> list[str]:
    shown = measures(section.reference.metrics)
    by_stage: dict[str, list[RunGroup]] = {}
    reasons = []
    for stage in STAGES:
        try:
            by_stage[stage] = [_at_two_rates(group, stage) for group in section.groups]
        except UserError as error:
            reasons.append(f"Not at the {stage} stage: {error}\n")
    measure = shown[1] if section.reference.data.outputs == 1 else shown[0]
    said = tables.caption(section, " and ".join(by_stage))
    return [said, tables.lost(by_stage, measure), *reasons]


def _at_two_rates(group: RunGroup, stage: Stage) -> RunGroup:
    results = []
    for run in tqdm(group.results, f"{stage} stage", leave=False):
        protocol = replace(run.protocol, mask_stage=stage, rates=(0.0, tables.HALF))
        results.append(result(run.run, run.split, protocol))
    return replace(group, results=tuple(results))


def _picture(title: str, name: str) -> str:
    return f"![{title}]({name})\n"
