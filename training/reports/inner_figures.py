"""Draws what happens inside a network: how alike its features are, and where it attends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy.stats import gaussian_kde

from training.reports.attention import Weights
from training.reports.figures import COLOURS, save, sized, wrapped
from training.reports.similarity import ACROSS, APART, WITH_MF

KINDS = {ACROSS: (COLOURS[0], "-"), WITH_MF: (COLOURS[1], "--"), APART: ("black", ":")}
"""The colour and line style of each kind of pair."""
ALIKE = 1e-3
"""Values that differ by less than this are drawn as one line, because they have no density."""
ERASED = COLOURS[1]


def densities(path: Path, groups: dict[str, dict[str, NDArray[np.float32]]]) -> None:
    """Draw kernel densities of cosines, a panel for each system (NORM-TR, fig. 7).

    `groups` holds the cosines of each kind of pair, by the name of the system.
    """
    columns = min(3, len(groups))
    rows = math.ceil(len(groups) / columns)
    figure = sized(max(6.5, 4.3 * columns), 3.4 * rows + 0.6)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True).flat
    least = min(float(values.min()) for kinds in groups.values() for values in kinds.values())
    left = -1 if least < 0 else 0
    at = np.linspace(left, 1, 401)
    seen = {}
    for ax, (name, kinds) in zip(axes, groups.items(), strict=False):
        for kind, values in kinds.items():
            colour, line = KINDS[kind]
            if np.ptp(values) < ALIKE:
                seen[kind] = ax.axvline(float(values[0]), color=colour, linestyle=line)
            else:
                (seen[kind],) = ax.plot(at, gaussian_kde(values)(at), color=colour, linestyle=line)
        ax.set_title(wrapped(name), fontsize=9)
        ax.set_xlabel("cosine similarity")
        ax.set_ylabel("density")
        ax.set_xlim(left, 1)
        ax.set_ylim(bottom=0)
        ax.set_xticks(np.linspace(left, 1, 5))
        ax.tick_params(labelbottom=True)
        ax.grid(alpha=0.25)
    for ax in list(axes)[len(groups) :]:
        ax.set_visible(False)
    figure.legend(seen.values(), seen, loc="outside upper center", ncols=len(seen), fontsize=9)
    save(figure, path)


@dataclass(frozen=True)
class Attended:
    """The attention of one sample with S = M T tokens."""

    modalities: Sequence[str]
    clean: Weights
    """float32 [S, S], without noise."""
    noisy: Weights
    """float32 [S, S], with noise."""
    erased: NDArray[np.bool_]
    """bool [S]: which steps the noise erases."""
    query: str
    """Which tokens are the queries: NRGF or MF."""
    memory: str
    """Which tokens are attended to: NRGF or MF."""


def attention(path: Path, sample: Attended) -> None:
    """Draw the attention weights (NORM-TR, fig. 8), and how much attention each step gets."""
    size = len(sample.clean)
    figure = sized(15, 4.9)
    clean, noisy, sums = figure.subplots(1, 3, width_ratios=(1, 1, 0.9))
    top = float(max(sample.clean.max(), sample.noisy.max()))
    for ax, weights, title in (
        (clean, sample.clean, "without noise"),
        (noisy, sample.noisy, "with noise (marked: erased steps)"),
    ):
        image = ax.imshow(weights, cmap="Blues", vmin=0, vmax=top, aspect="auto")
        ax.set_title(title, fontsize=10, pad=12)
        _steps(ax, sample, both=True)
        ax.set_xlabel(f"attended token: {sample.memory} of step")
        ax.set_ylabel(f"query token: {sample.query} of step")
    places = np.flatnonzero(sample.erased)
    above = noisy.get_xaxis_transform()
    noisy.plot(places, [1.015] * len(places), "v", color=ERASED, transform=above, clip_on=False)
    figure.colorbar(image, ax=[clean, noisy], label="attention weight, mean over heads", pad=0.01)
    for place in places:
        sums.axvspan(place - 0.5, place + 0.5, color=ERASED, alpha=0.25, lw=0)
    for weights, label, line, colour in (
        (sample.clean, "without noise", "-", "black"),
        (sample.noisy, "with noise (shaded: erased)", "--", COLOURS[0]),
    ):
        share = weights.mean(0) * size
        sums.step(range(size), share, where="mid", linestyle=line, color=colour, label=label)
    sums.set_xlim(-0.5, size - 0.5)
    sums.set_ylabel("attention a step gets (1: its even share)")
    sums.set_xlabel(f"attended token: {sample.memory} of step")
    sums.legend(fontsize=9, frameon=False, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1))
    _steps(sums, sample, both=False)
    save(figure, path)


def _steps(ax: Axes, sample: Attended, both: bool) -> None:
    """Draw ticks at steps, counted from 1 in each modality, and lines between the modalities.

    With `both`, the vertical axis gets them, too.
    """
    count = len(sample.clean) // len(sample.modalities)
    every = max(1, math.ceil(count / 5))
    ticks, labels = [], []
    for i, modality in enumerate(sample.modalities):
        for step in range(0, count, every):
            ticks.append(i * count + step)
            labels.append(f"{modality} {step + 1}" if step == 0 else f"{step + 1}")
    ax.set_xticks(ticks, labels, fontsize=8, rotation=90)
    if both:
        ax.set_yticks(ticks, labels, fontsize=8)
    for i in range(1, len(sample.modalities)):
        for line in (ax.axvline, ax.axhline) if both else (ax.axvline,):
            line(i * count - 0.5, color="black", linewidth=1)
