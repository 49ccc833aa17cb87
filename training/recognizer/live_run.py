"""A training run on label-paired windows as a recognizer: `normtr live --checkpoint RUN`.

Its rows are what the shipped recognizer's face, voice and text networks say, so these come from
there; the run's model takes NORM-TR's place, whichever system it is of.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import dacite
import torch
from torch import Tensor, nn

from normtr import checkpoint
from normtr.calibration import Calibration
from normtr.checkpoint import Checkpoint
from normtr.errors import UserError
from normtr.models import sha256
from normtr.spec import LABELS, MODALITIES
from training import run_folder
from training.recognizer import parts
from training.recognizer.paired import LabelPaired
from training.recognizer.parts import centred
from training.run_folder import SETTINGS
from training.systems.system import Contender
from training.windows import Windows


class OnRows(nn.Module):
    """Reads logits out of rows, then lets the model judge these."""

    def __init__(self, model: nn.Module, heads: Mapping[str, nn.Linear]) -> None:
        super().__init__()
        self.model = model
        self.heads = nn.ModuleDict(heads)

    def forward(self, rows: Mapping[str, Tensor], valid: Tensor) -> Tensor:
        """rows [B, T, N_m] per modality, valid bool [B, M, T] -> logits [B, C]."""
        said = {m: self._said(m, x) for m, x in rows.items()}
        out: Tensor = self.model(said, valid)
        return out

    def _said(self, modality: str, rows: Tensor) -> Tensor:
        head = self.heads[modality]
        assert isinstance(head, nn.Linear)
        return centred(head, rows)


def load(folder: Path) -> Checkpoint:
    """Raises UserError with one sentence where the run is none that can be used live."""
    run = run_folder.read(folder)
    if not isinstance(run.part, Contender) or not isinstance(run.part.data, LabelPaired):
        raise UserError(
            f"{folder} cannot be used live: it was not trained on windows of the recognizer's own "
            "rows (training.recognizer.paired.LabelPaired)."
        )
    base = checkpoint.load(run.part.data.recognizer or checkpoint.SHIPPED)
    if run.part.data.steps != base.spec.steps:
        raise UserError(
            f"{folder} has windows of {run.part.data.steps} steps, the recognizer {base.spec.steps}."
        )
    model = run.part.model(_blank(base.spec.steps))
    run_folder.fill(model, run)
    network = OnRows(model, parts.of_checkpoint(base).heads).eval().requires_grad_(False)
    calibration = _calibration(run.model.parent)
    made_of = base.sha256, sha256(run.model), sha256(run.model.parent / SETTINGS), calibration
    digest = hashlib.sha256(repr(made_of).encode()).hexdigest()
    return dataclasses.replace(base, norm_tr=network, calibration=calibration, sha256=digest)


def _blank(steps: int) -> Windows:
    """A window as the model's rows are."""
    rows = {m: torch.zeros(1, steps, len(LABELS)) for m in MODALITIES}
    valid = torch.zeros(1, len(MODALITIES), steps, dtype=torch.bool)
    return Windows(rows, valid, torch.zeros(1, dtype=torch.int64))


def _calibration(folder: Path) -> Calibration:
    try:
        found = json.loads((folder / "metrics.json").read_text())["calibration"]
        return dacite.from_dict(Calibration, found, dacite.Config(cast=[float, tuple], strict=True))
    except (OSError, ValueError, KeyError, TypeError, dacite.DaciteError) as error:
        raise UserError(f"the run {folder} has no calibration: {error}.") from None
