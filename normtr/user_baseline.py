"""A user baseline is a person's bias: what their neutral face and voice say besides `neutral`.

For a neutral person the other six labels should be equally likely. Differences there belong to the
person (a resting face that looks sad). A share of them, within a limit, is taken off the logits of
the face and voice heads before fusion. The file holds these few numbers and the weights' sha256,
nothing else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import dacite
import numpy as np
from numpy.typing import NDArray

from normtr import private_file
from normtr.checkpoint import Checkpoint
from normtr.errors import UserError
from normtr.modality import Modality
from normtr.spec import LABELS
from normtr.window import Row

FORMAT = 1
SHARE = 0.25
"""This share of the bias is taken off. On RAVDESS's voices a quarter gains nothing, and more does
harm."""
LIMIT = 0.5
"""At most this much is taken off any logit."""
FEWEST: dict[str, int] = {Modality.FACE: 16, Modality.VOICE: 8}
"""The number of steps that a modality needs; a modality with fewer is not corrected."""
MAX_BYTES = 10_000


@dataclass(frozen=True)
class UserBaseline:
    """The bias that is taken off one person's logits under one recognizer."""

    model: str
    """The checkpoint's sha256."""
    steps: dict[str, int]
    """The number of steps that were seen, per modality."""
    bias: dict[str, tuple[float, ...]]
    """The bias of each corrected modality, in the order of the labels."""
    format: int = FORMAT


def check_labels(checkpoint: Checkpoint) -> None:
    """Raise UserError when the recognizer's labels are not those of the face and voice networks."""
    if checkpoint.labels != LABELS:
        raise UserError(
            f"a personal calibration is of the labels {', '.join(LABELS)}, and this recognizer's "
            f"are {', '.join(checkpoint.labels)}: it works without one."
        )


def measured(checkpoint: Checkpoint, rows: Mapping[str, Sequence[Row]]) -> UserBaseline:
    """Return the bias of a person from the rows [dim] of their neutral steps, per modality.

    Raises UserError when neither face nor voice has enough steps, or when the labels are others.
    """
    check_labels(checkpoint)
    steps = {m: len(rows.get(m, ())) for m in FEWEST}
    enough = [m for m, fewest in FEWEST.items() if steps[m] >= fewest]
    if not enough:
        wanted = " or ".join(
            f"{n * checkpoint.spec.step_ms / 1000:g} s of {m}" for m, n in FEWEST.items()
        )
        raise UserError(
            f"too little was seen and heard: face in {steps[Modality.FACE]} steps, voice in "
            f"{steps[Modality.VOICE]}; {wanted} are needed."
        )
    neutral = LABELS.index("neutral")
    bias = {}
    for m in enough:
        weight, constant = _head(checkpoint, m)
        logits = np.mean(rows[m], axis=0, dtype=np.float64) @ weight.T + constant
        excess = logits - np.delete(logits, neutral).mean()
        excess[neutral] = 0.0
        bias[m] = tuple(float(x) for x in np.clip(SHARE * excess, -LIMIT, LIMIT))
    return UserBaseline(checkpoint.sha256, steps, bias)


def offsets(checkpoint: Checkpoint, baseline: UserBaseline) -> dict[str, Row]:
    """Return, per corrected modality, a float32 [dim] that takes the bias off the logits of a row.

    It is subtracted from the row. It is the smallest such vector, so it changes nothing else that
    the head reads from a row.
    """
    out = {}
    for m, bias in baseline.bias.items():
        weight, _ = _head(checkpoint, m)
        row = np.linalg.pinv(weight - weight.mean(0)) @ (np.array(bias) - np.mean(bias))
        out[m] = row.astype(np.float32)
    return out


def _head(checkpoint: Checkpoint, modality: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    weights = {Modality.FACE: checkpoint.face, Modality.VOICE: checkpoint.voice}
    head = weights[Modality(modality)]
    return head["head.weight"].astype(np.float64), head["head.bias"].astype(np.float64)


def write(path: Path, baseline: UserBaseline) -> None:
    """Write the file whole or not at all, with mode 600. Raises UserError when it cannot be
    written."""
    try:
        private_file.write(path, json.dumps(asdict(baseline), indent=1) + "\n")
    except OSError as error:
        raise UserError(f"the calibration cannot be written: {error}.") from None


def read(path: Path, checkpoint: Checkpoint) -> UserBaseline:
    """Read a baseline.

    Raises UserError when there is none, when it is damaged, or when it was made with other weights.
    """
    check_labels(checkpoint)
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(MAX_BYTES))
        baseline = dacite.from_dict(
            UserBaseline, found, dacite.Config(cast=[tuple], type_hooks={float: float}, strict=True)
        )
    except FileNotFoundError:
        raise UserError(f"there is no calibration {path}; run `normtr calibrate` first.") from None
    except OSError as error:
        raise UserError(f"the calibration {path} cannot be read: {error}.") from None
    except (ValueError, TypeError, RecursionError, dacite.DaciteError):
        raise _damaged(path) from None
    numbers = [x for bias in baseline.bias.values() for x in bias]
    if (
        baseline.format != FORMAT
        or not set(baseline.bias) <= set(FEWEST)
        or any(len(bias) != len(LABELS) for bias in baseline.bias.values())
        or not all(math.isfinite(x) and abs(x) <= LIMIT for x in numbers)
    ):
        raise _damaged(path)
    if baseline.model != checkpoint.sha256:
        raise UserError(
            f"the calibration {path} was made with other weights; run `normtr calibrate` again."
        )
    return baseline


def _damaged(path: Path) -> UserError:
    return UserError(f"{path} is no calibration of this version; run `normtr calibrate` again.")
