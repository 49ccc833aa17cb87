"""Draws a session: probabilities over time, gaps in the colours of their causes, and words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from normtr.cause import GAPS, Cause
from normtr.spec import MODALITIES
from normtr.whole_file import whole_file
from stream.pipeline.events import Word
from stream.views.labels_and_colours import emotion_colour, look
from stream.views.status import COLOURS
from stream.views.summary import Summary

WORD_ROWS = 4
CHARACTER_IN, AXIS_IN = 0.062, 10.5
"""The width of a letter and of the time axis, in inches."""


def draw(path: Path, summary: Summary, words: Sequence[Word], title: str) -> None:
    """Write a PNG. Words stand where they were said; abstention is a pale stripe."""
    # Matplotlib takes 0.3 s to import, also for a session that draws nothing.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    figure = Figure(figsize=(13, 6.2), dpi=110)
    FigureCanvasAgg(figure)
    top, bottom = figure.subplots(
        2, 1, sharex=True, gridspec_kw={"height_ratios": [2.6, 1], "hspace": 0.08}
    )
    step_s, times, curves = summary.step_s, summary.ends_s(), summary.curves()
    for index, label in enumerate(summary.labels):
        colour = COLOURS.get(label, emotion_colour(label)).replace("yellow", "orange")
        colour = "black" if label == "neutral" else colour
        top.plot(times, curves[:, index], color=colour, label=label, linewidth=1.8)
    for time, abstained in zip(times, summary.abstained(), strict=True):
        if abstained:
            top.axvspan(time - step_s, time, color="#000000", alpha=0.06, linewidth=0)
    top.set_ylim(0, 1)
    top.set_ylabel("calibrated probability")
    top.set_title(f"{title}   (grey: abstained)", loc="left", fontsize=10)
    top.legend(loc="upper left", bbox_to_anchor=(1.005, 1), fontsize=8, frameon=False)

    seen = set()
    for row, modality in enumerate(MODALITIES):
        for step, causes in summary.steps():
            cause = causes[modality]
            colour = look(cause).colour
            bottom.barh(row, step_s, left=step * step_s, height=0.8, color=colour, linewidth=0)
            seen.add(cause)
    bottom.set_yticks(range(len(MODALITIES)), MODALITIES)
    bottom.invert_yaxis()
    patches = [Patch(color=look(Cause.NONE).colour, label="there")] + [
        Patch(color=look(c).colour, label=look(c).text) for c in GAPS if c in seen
    ]
    bottom.legend(
        handles=patches, loc="upper left", bbox_to_anchor=(1.005, 1.1), fontsize=8, frameon=False
    )
    begin_s = times[0] - step_s
    duration_s = times[-1] - begin_s
    free_s = [0.0] * WORD_ROWS  # where each row of words is free again
    for word in words:
        at_s = (word.word.middle_ns - summary.origin_ns) / 1e9
        if at_s < begin_s:
            continue
        half_s = (len(word.word.text) + 1) * CHARACTER_IN / AXIS_IN * duration_s / 2
        row = min(range(WORD_ROWS), key=lambda r: (free_s[r] > at_s - half_s, r, free_s[r]))
        free_s[row] = at_s + half_s
        bottom.text(at_s, 2.6 + 0.42 * row, word.word.text, ha="center", va="top", fontsize=7)
    bottom.set_ylim(2.75 + 0.42 * WORD_ROWS, -0.6)
    bottom.set_xlim(begin_s, begin_s + duration_s)
    bottom.set_xlabel("seconds")
    figure.subplots_adjust(left=0.06, right=0.87, top=0.94, bottom=0.08)
    with whole_file(path) as partial:
        figure.savefig(partial, format="png")
