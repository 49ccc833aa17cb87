"""Makes a recognizer of a training run, for `normtr live --checkpoint RUN`.

The run was trained on rows or logits of a recognizer's face, voice and text networks, which are
taken from that recognizer. The run's model, of whichever system, takes the place of NORM-TR, and
its labels become the recognizer's.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import dacite
import torch
from torch import Tensor, nn

from normtr import checkpoint
from normtr.calibration import Calibration
from normtr.checkpoint import Checkpoint
from normtr.device import Compute, Device, Gpu, OnDevice
from normtr.errors import UserError
from normtr.known_files import sha256
from normtr.shipped import SHIPPED
from normtr.spec import LABELS, MODALITIES, FeatureSpec
from normtr.torch_compute import on_cpu, on_gpu
from training import run_folder
from training.data.extracted import Extracted
from training.recognizer import parts
from training.recognizer.paired import LabelPaired
from training.recognizer.parts import centred
from training.run_folder import SETTINGS
from training.windows import Windows


class OnRows(nn.Module):
    """Gives a model the rows of its modalities, or the centred logits of `heads` for them."""

    def __init__(
        self, model: nn.Module, modalities: tuple[str, ...], heads: Mapping[str, nn.Linear]
    ) -> None:
        super().__init__()
        self.model = model
        self.modalities = modalities
        self.places = [MODALITIES.index(m) for m in modalities]
        self.heads = nn.ModuleDict(heads)

    def forward(self, rows: Mapping[str, Tensor], valid: Tensor) -> Tensor:
        """Return logits [B, C] for rows [B, T, N_m] by modality, and valid bool [B, M, T]."""
        said = {m: self._said(m, rows[m]) for m in self.modalities}
        out: Tensor = self.model(said, valid[:, self.places])
        return out

    def _said(self, modality: str, rows: Tensor) -> Tensor:
        if modality not in self.heads:
            return rows
        head = self.heads[modality]
        assert isinstance(head, nn.Linear)
        return centred(head, rows)


@dataclass(frozen=True)
class TorchFusion:
    """A run's network in NORM-TR's place; torch runs it, on the CPU too."""

    network: OnRows

    def on(self, device: Device | None) -> Compute:
        def there(gpu: Gpu) -> Compute:
            return on_gpu(gpu, self.network, _versions)

        return OnDevice(device, on_cpu(self.network, _versions), there)

    def module(self) -> nn.Module:
        return self.network


def _versions(network: nn.Module, valid: Tensor, *rows: Tensor) -> Tensor:
    """Return logits [B, V, C] of windows with valid [B, V, M, T] and rows [B, T, N_m]."""
    count = valid.shape[1]
    named = {m: x.repeat_interleave(count, 0) for m, x in zip(MODALITIES, rows, strict=True)}
    logits: Tensor = network(named, valid.flatten(0, 1))
    return logits.view(*valid.shape[:2], -1)


@dataclass(frozen=True)
class _Kept:
    """What the run folder keeps about its data, which may not exist any more."""

    labels: tuple[str, ...]
    rows_of: str | None
    """The hash of the recognizer whose networks made the rows; None if it is not known."""
    calibration: Calibration


def load(folder: Path) -> Checkpoint:
    """Load a run as a recognizer. Raises UserError when it cannot be used live."""
    run = run_folder.read(folder)
    data = run.data
    if not isinstance(data, LabelPaired | Extracted):
        raise UserError(
            f"{folder} cannot be used live: it was not trained on windows of the recognizer's own "
            "rows (training.data.extracted.Extracted or paired.LabelPaired)."
        )
    kept = _kept(run.model.parent)
    base = checkpoint.load(data.recognizer or SHIPPED)
    if kept.rows_of not in (None, base.sha256):
        raise UserError(
            f"{folder} was trained on rows of other weights than those of "
            f"{data.recognizer or SHIPPED}; extract the clips and train it again."
        )
    spec = dataclasses.replace(base.spec, steps=data.steps)
    heads = parts.of_checkpoint(base).heads if isinstance(data, LabelPaired) else {}
    modalities = data.modalities if isinstance(data, Extracted) else MODALITIES
    widths = {m: heads[m].out_features if m in heads else spec.dims[m] for m in modalities}
    model = run.system.model(_blank(widths, spec), len(kept.labels))
    run_folder.fill(model, run)
    network = OnRows(model, modalities, heads).eval().requires_grad_(False)
    made_of = base.sha256, sha256(run.model), sha256(run.model.parent / SETTINGS), kept
    digest = hashlib.sha256(repr(made_of).encode()).hexdigest()
    return dataclasses.replace(
        base,
        spec=spec,
        labels=kept.labels,
        norm_tr=TorchFusion(network),
        calibration=kept.calibration,
        sha256=digest,
        crowd=base.crowd if kept.labels == base.labels else {},
    )


def _blank(widths: Mapping[str, int], spec: FeatureSpec) -> Windows:
    """Return an empty window with rows of the model's shape."""
    rows = {m: torch.zeros(1, spec.steps, dim) for m, dim in widths.items()}
    valid = torch.zeros(1, len(widths), spec.steps, dtype=torch.bool)
    return Windows(rows, valid, torch.zeros(1, dtype=torch.int64))


def _kept(folder: Path) -> _Kept:
    try:
        metrics = json.loads((folder / "metrics.json").read_text())
        if metrics.get("labels", LABELS) is None:
            raise UserError(
                f"{folder} cannot be used live: it tells a number, and live shows classes."
            )
        kept = dacite.from_dict(
            _Kept,
            {
                "labels": metrics.get("labels", LABELS),  # older runs do not name them
                "rows_of": metrics.get("rows_of"),
                "calibration": metrics["calibration"],
            },
            dacite.Config(cast=[float, tuple], strict=True),
        )
        if not checkpoint.can_be_computed(kept.calibration, len(kept.labels)):
            raise ValueError("its numbers are out of range")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, dacite.DaciteError) as error:
        raise UserError(
            f"the run {folder} has no calibration ({error}); train it again, then it can be used live."
        ) from None
    return kept
