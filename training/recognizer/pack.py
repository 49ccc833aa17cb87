"""The trained parts as one checkpoint directory, with a record of what they measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from normtr import checkpoint
from normtr.calibration import Calibration
from normtr.crowd import Crowd
from normtr.engine.weights import Weights
from normtr.known_files import sha256
from normtr.model import NormTr
from normtr.spec import LABELS, FeatureSpec
from normtr.torch_networks import weights_of
from training import run_folder
from training.recognizer import late_fusion
from training.systems.attentive_late_fusion import AttentiveLateNetwork


def write(
    folder: Path,
    runs: Mapping[str, Path],
    spec: FeatureSpec,
    calibration: Calibration,
    crowd: Crowd,
    networks: Mapping[str, nn.Module],
    adapter: Weights,
    rival: AttentiveLateNetwork,
    metrics: Mapping[str, Any],
) -> None:
    """Write the checkpoint, its rival and `recorded.json`: each file's sha256, each part's metrics.

    `metrics` are the fusion's; those of face, voice and text are read from their `runs`.
    """
    norm_tr = networks["norm_tr"]
    assert isinstance(norm_tr, NormTr)
    weights = {part: weights_of(network) for part, network in networks.items()}
    whole = checkpoint.save(
        folder, spec, LABELS, calibration, weights | {"adapter": adapter}, norm_tr.config, crowd
    )
    late_fusion.write(folder, rival)
    of_parts = {"fusion": dict(metrics)}
    for part, run in runs.items():
        path = run / "metrics.json"
        if path.is_file():
            of_parts[part] = json.loads(path.read_text())
    names = sorted([*folder.glob("*.safetensors"), folder / "manifest.json"])
    record = {
        "checkpoint": whole,
        "sha256": {path.name: sha256(path) for path in names},
        "metrics": of_parts,
    }
    run_folder.write_json(folder / "recorded.json", record)
