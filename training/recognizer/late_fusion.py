"""The late fusion that a recognizer is compared with: its file beside the recognizer's weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load_file
from torch import nn

from normtr.errors import UserError
from normtr.spec import LABELS, MODALITIES
from training import run_folder
from training.recognizer.parts import centred
from training.systems.attentive_late_fusion import (
    AttentiveConfig,
    AttentiveLateFusion,
    AttentiveLateNetwork,
)
from training.windows import Windows

FILE = "late_fusion.safetensors"


def write(folder: Path, rival: AttentiveLateNetwork) -> None:
    """Write the rival into a checkpoint's folder."""
    run_folder.write_tensors(folder / FILE, rival.state_dict())


def read(folder: Path) -> AttentiveLateNetwork:
    """Read the rival of a checkpoint; it takes the logits of the recognizer's parts.

    Raises UserError where the checkpoint's folder has none.
    """
    if not (folder / FILE).is_file():
        raise UserError(f"{folder} has no {FILE}: its fusion has no rival to be compared with.")
    dims = dict.fromkeys(MODALITIES, len(LABELS))
    rival = AttentiveLateNetwork(AttentiveConfig(dims, len(LABELS), AttentiveLateFusion().hidden))
    try:
        rival.load_state_dict(load_file(folder / FILE))
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{folder / FILE} cannot be read: {reason}") from None
    return rival.eval()


def as_logits(windows: Windows, heads: Mapping[str, nn.Linear]) -> Windows:
    """Return the windows with the centred logits that `heads` read in the rows, instead of these."""
    rows = {m: centred(heads[m], x) for m, x in windows.rows.items()}
    return Windows(rows, windows.valid, windows.labels)
