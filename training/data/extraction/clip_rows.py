"""Computes a clip's rows with exactly the code that runs live, and its windows under given gaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from normtr.cause import Cause
from normtr.errors import UserError
from normtr.face import FaceEncoder
from normtr.media import Media, Picture
from normtr.sound import Hole, PlacedSamples, Samples, SoundTrack, hole_cause
from normtr.spec import FeatureSpec
from normtr.text import TextEncoder, TimedWord
from normtr.voice import VoiceEncoder
from normtr.window import Row, Slots, Window, assemble, mean_row

Outcome = tuple[Cause, Row | None]

MISSING_NS = 1_000_000_000
"""A clip counts as damaged if it ends this many ns or more before the end that it states."""


@dataclass(frozen=True)
class ClipRows:
    """The outcome of every step of a clip, as if nothing had been lost or late.

    An outcome is a cause and, where the cause is `none`, the row float32 [dim].
    """

    face: tuple[Outcome, ...]
    voice: tuple[Outcome, ...]
    sound: Samples
    """float32 [n] at the FeatureSpec's rate from the clip's start; zeros where it has no sound."""


def clip_rows(
    source: str, spec: FeatureSpec, face_encoder: FaceEncoder, voice_encoder: VoiceEncoder
) -> ClipRows:
    """Decode a clip and compute the row of each step.

    Raises UserError with the clip's name when it cannot be read or breaks off.
    """
    slots = Slots(spec)
    tracker = face_encoder.tracker()
    track = SoundTrack(spec.voice.sample_rate)
    pictures: dict[int, list[Outcome]] = {}
    placed: list[PlacedSamples] = []
    end_ns = 0
    with Media(source) as media:
        stated_ns = media.stated_ns
        for item in media:
            end_ns = max(end_ns, item.end_ns)
            if not isinstance(item, Picture):
                placed += track.push(item.at_ns, item.samples, item.rate)
            elif (step := slots.step_for(item.at_ns)) is not None:
                image = item.image()
                row = face_encoder.largest(image, tracker(image, step))
                pictures.setdefault(step, []).append((row.cause, row.vector))
    if stated_ns is not None and end_ns < stated_ns - MISSING_NS:
        raise UserError(
            f"{media.name} breaks off after {end_ns / 1e9:.1f} of {stated_ns / 1e9:.1f} s."
        )
    placed += track.flush()
    steps = max(1, end_ns // spec.step_ns)
    nothing: Outcome = (Cause.STALLED if media.has_picture else Cause.NO_TRACK, None)
    face = [mean_row(pictures[n]) if n in pictures else nothing for n in range(steps)]
    samples, holes = _laid_out(placed)
    if media.has_sound:
        voice = _voice(samples, holes, steps, spec, voice_encoder)
    else:
        voice = [(Cause.NO_TRACK, None)] * steps
    return ClipRows(tuple(face), tuple(voice), samples)


def _voice(
    samples: Samples, holes: Sequence[Hole], steps: int, spec: FeatureSpec, encoder: VoiceEncoder
) -> list[Outcome]:
    per_step = spec.voice.sample_rate * spec.step_ms // 1000
    context = spec.voice.context_samples
    padded = np.concatenate([np.zeros(context, np.float32), samples])
    out: list[Outcome] = []
    for step in range(steps):
        end = (step + 1) * per_step
        if end > len(samples):
            out.append((Cause.STALLED, None))
            continue
        cause = hole_cause(holes, end - per_step, end, spec.voice.sample_rate)
        if cause != Cause.NONE:
            out.append((cause, None))
            continue
        row = encoder(padded[end : end + context])
        out.append((row.cause, row.vector))
    return out


def _laid_out(placed: Sequence[PlacedSamples]) -> tuple[Samples, list[Hole]]:
    """Return all samples from the origin on, with zeros where there were none, and the holes."""
    parts: list[Samples] = []
    holes: list[Hole] = []
    end = 0
    for piece in placed:
        skip = max(-piece.begin, 0)
        begin = piece.begin + skip
        if begin > end:
            holes.append(Hole(end, begin, Cause.STALLED))
            parts.append(np.zeros(begin - end, np.float32))
        parts.append(piece.samples[skip:])
        end = max(begin, end) + len(piece.samples[skip:])
    return np.concatenate(parts) if parts else np.zeros(0, np.float32), holes


def window_under(
    rows: ClipRows,
    spec: FeatureSpec,
    step: int,
    gaps: Mapping[str, Sequence[Cause]],
    words: Sequence[TimedWord],
    text_encoder: TextEncoder,
) -> Window:
    """Return the window that ends with `step`, given its gaps and the words known at its tick.

    So the window that the network saw live is made again from the clip.
    """
    begin_ns = (step + 1 - spec.steps) * spec.step_ns
    numbers = range(step + 1 - spec.steps, step + 1)
    known: dict[str, list[Row | None]] = {
        "face": [rows.face[n][1] if n >= 0 else None for n in numbers],
        "voice": [rows.voice[n][1] if n >= 0 else None for n in numbers],
        "text": text_encoder.rows(words, begin_ns, spec.step_ns, spec.steps),
    }
    columns = {m: list(zip(gaps[m], known[m], strict=True)) for m in known}
    return assemble(spec, begin_ns, columns)
