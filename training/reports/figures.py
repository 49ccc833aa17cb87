"""Draws the pictures of a report: metrics over noise rates, and over a setting."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from normtr.whole_file import whole_file
from training.reports.measures import Measure, measures
from training.reports.run_groups import RunGroup, Section

LINES = 5
"""One panel shows at most this many systems beside the reference."""
_CYCLE = matplotlib.style.library["tableau-colorblind10"]["axes.prop_cycle"].by_key()["color"]
COLOURS = tuple(_CYCLE[i] for i in (0, 1, 2, 5, 4))
"""Neighbours also differ in lightness."""
MARKERS = "osD^v"


def sized(width: float, height: float) -> Figure:
    """Return a figure of this size in inches, whose contents are placed without overlaps."""
    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path) -> None:
    with whole_file(path) as partial:
        figure.savefig(partial, format="png")


def families(section: Section) -> list[list[RunGroup]]:
    """Group the other systems into panels of at most LINES.

    Systems that differ in the same settings come together, and then those that differ in the same
    section of the config. The systems of a comparison share one panel.
    """
    if section.reference.title:
        return [list(section.others)]
    alike: dict[tuple[str, ...], list[RunGroup]] = {}
    for group in section.others:
        alike.setdefault(tuple(group.changed), []).append(group)
    out: list[list[RunGroup]] = []
    last: set[str] = set()
    for names in sorted(alike, key=lambda names: (len({_top(n) for n in names}), names)):
        top = {_top(name) for name in names}
        together = alike[names]
        if out and top == last and len(out[-1]) + len(together) <= LINES:
            out[-1].extend(together)
        else:
            out += [together[i : i + LINES] for i in range(0, len(together), LINES)]
        last = top
    return out or [[]]


def _top(name: str) -> str:
    return name.split(".")[0]


def over_rates(path: Path, section: Section) -> None:
    """Draw the first two metrics over noise rates (NORM-TR, fig. 5).

    A panel between them shows the first one minus the reference's, where differences are easier to
    see. Each system has a line, and a band of one deviation over the training seeds.
    """
    first, second = measures(section.reference.metrics)[:2]
    panels = families(section)
    figure = sized(17, 3.6 * len(panels))
    for row, groups in zip(figure.subplots(len(panels), 3, squeeze=False), panels, strict=True):
        base = section.reference.curves(first.key).mean(0)
        for ax, measure, zero, label in (
            (row[0], first, 0 * base, f"{first.title}\n{_direction(first)}"),
            (row[1], first, base, f"{first.title} minus the reference's\n{_direction(first)}"),
            (row[2], second, 0 * base, f"{second.title}\n{_direction(second)}"),
        ):
            for i, group in enumerate([section.reference, *groups]):
                _line(ax, group, measure, zero, _style(i))
            ax.set_ylabel(label)
        row[-1].legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=9, frameon=False)
    save(figure, path)


def _line(
    ax: Axes, group: RunGroup, measure: Measure, zero: NDArray[np.float64], style: dict[str, Any]
) -> None:
    rates = np.array(group.results[0].protocol.rates)
    values = (group.curves(measure.key) - zero) * measure.scale
    mean = values.mean(0)
    ax.plot(rates, mean, label=wrapped(group.name), markersize=4.5, **style)
    if len(values) > 1:
        band = values.std(0, ddof=1)
        ax.fill_between(rates, mean - band, mean + band, color=style["color"], alpha=0.15, lw=0)
    ax.set_xlabel("noise rate (share of erased steps)")
    ax.set_xticks(rates)
    ax.grid(alpha=0.25)


def sweeps(path: Path, section: Section) -> None:
    """Draw the first metric without noise, and its area, over each setting (NORM-TR, fig. 6)."""
    measure = measures(section.reference.metrics)[0]
    swept = section.swept()
    figure = sized(11, 3.3 * len(swept))
    axes = figure.subplots(len(swept), 2, squeeze=False)
    for row, (name, points) in zip(axes, swept.items(), strict=True):
        for ax, what in zip(row, ("at rate 0", "AUILC"), strict=True):
            own = [
                group.curves(measure.key)[:, 0] if what == "at rate 0" else group.areas(measure.key)
                for _, group in points
            ]
            means = [float(v.mean()) * measure.scale for v in own]
            bars = [float(v.std(ddof=1)) * measure.scale if len(v) > 1 else 0.0 for v in own]
            places = np.arange(len(points))
            ax.errorbar(places, means, bars, color=COLOURS[0], marker="o", capsize=4)
            base = [group.number for _, group in points].index(section.reference.number)
            ax.plot(
                base, means[base], "o", color="black", markersize=8, zorder=3, label="reference"
            )
            ax.set_xticks(places, [f"{value:g}" for value, _ in points])
            ax.set_xlim(-0.4, len(points) - 0.6)
            ax.set_xlabel(name)
            title = f"AUILC-{measure.title}" if what == "AUILC" else f"{measure.title} {what}"
            ax.set_ylabel(f"{title}\n{_direction(measure)}")
            ax.grid(alpha=0.25)
            ax.legend(fontsize=9, frameon=False)
    save(figure, path)


def _style(place: int) -> dict[str, Any]:
    """Return the line style of the reference (place 0) or of a system beside it."""
    if place == 0:
        return {"color": "black", "linestyle": "--", "marker": "", "linewidth": 2, "zorder": 3}
    again, number = divmod(place - 1, len(COLOURS))
    look = {"color": COLOURS[number], "marker": MARKERS[number]}
    return {**look, "linestyle": ("-", ":", "-.")[again % 3], "linewidth": 1.6}


def wrapped(name: str) -> str:
    """Return a legend's text with line breaks between settings."""
    return "\n".join(line for part in name.split(", ") for line in textwrap.wrap(part, 34))


def _direction(measure: Measure) -> str:
    return f"({'less' if measure.lower else 'more'} is better)"
