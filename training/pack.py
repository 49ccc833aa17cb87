"""The trained parts as one checkpoint directory, with a record of what they measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from normtr import checkpoint
from normtr.calibration import Calibration
from normtr.model import NormTrConfig
from normtr.spec import LABELS, FeatureSpec
from training.rows import sha256

PARTS = ("face", "voice", "text")


def write(
    folder: Path,
    runs: Path,
    spec: FeatureSpec,
    calibration: Calibration,
    networks: Mapping[str, nn.Module],
    config: NormTrConfig,
    metrics: Mapping[str, Any],
) -> None:
    """Write the checkpoint and `recorded.json`: each file's sha256 and each part's metrics.

    `metrics` are the fusion's; those of face, voice and text are read from `runs`.
    """
    whole = checkpoint.save(folder, spec, LABELS, calibration, networks, config)
    of_parts = {"fusion": dict(metrics)}
    for part in PARTS:
        path = runs / part / "metrics.json"
        if path.is_file():
            of_parts[part] = json.loads(path.read_text())
    names = sorted([*folder.glob("*.safetensors"), folder / "manifest.json"])
    record = {
        "checkpoint": whole,
        "sha256": {path.name: sha256(path) for path in names},
        "metrics": of_parts,
    }
    partial = folder / "recorded.json.partial"
    partial.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    partial.replace(folder / "recorded.json")
