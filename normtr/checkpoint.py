"""A checkpoint is a recognizer in one folder: weights, FeatureSpec, labels, calibration, hashes.

`manifest.json` names every file with its sha256; the sha256 of the manifest itself is the
checkpoint's hash. Weights are stored as float16, in shards, and are computed with as float32.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Any

import dacite
import numpy as np
from safetensors.numpy import save as save_tensors

from normtr.calibration import Calibration
from normtr.crowd import Crowd, Expected
from normtr.engine import weights as weight_files
from normtr.engine.face_graph import face_graph
from normtr.engine.norm_tr_graph import norm_tr_graph
from normtr.engine.voice_graph import voice_graph
from normtr.engine.weights import Array, Reader, Unfit, Weights
from normtr.errors import UserError
from normtr.fusion import VERSIONS, Fusion, NormTrWeights
from normtr.modality import Modality
from normtr.norm_tr_config import NormTrConfig
from normtr.spec import LABELS, MODALITIES, FeatureSpec, sha256_of

FORMAT = 4
PARTS = (*MODALITIES, "adapter", "norm_tr")
SHARD_BYTES = 12 * 2**20
FILE_NAME = re.compile(r"[\w-][\w.-]*\.safetensors", re.ASCII)
MAX_ROW, MAX_WIDTH, MAX_STEPS, MAX_DEPTH = 2048, 1024, 1024, 32
"""A manifest that asks for a larger network is taken for damaged; the network is not built."""


class CheckpointError(UserError):
    """The checkpoint is missing or damaged, or its parts do not fit."""


@dataclass(frozen=True)
class Checkpoint:
    """A loaded recognizer: the weights of its networks, float32."""

    spec: FeatureSpec
    labels: tuple[str, ...]
    calibration: Calibration
    face: Weights
    voice: Weights
    text: Weights
    """A linear layer that turns the mean of an utterance's word vectors into logits."""
    adapter: Weights
    """The factors that `normtr.adapter.adapted` adds to the text model."""
    norm_tr: Fusion
    """NORM-TR, or a network in its place."""
    sha256: str
    crowd: Crowd = field(default_factory=dict)
    """What a running baseline expects of a person; empty: there is no such baseline."""


def save(
    folder: Path,
    spec: FeatureSpec,
    labels: tuple[str, ...],
    calibration: Calibration,
    weights: Mapping[str, Weights],
    config: NormTrConfig,
    crowd: Crowd = MappingProxyType({}),
) -> str:
    """Write a checkpoint and return its hash. `weights` has the tensors of each of PARTS.

    Everything is written to a temporary folder first. Files in `folder` that do not belong to a
    checkpoint, such as the model card, stay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        written = Path(temporary)
        hashes: dict[str, str] = {}
        parts: dict[str, list[str]] = {}
        for part in PARTS:
            parts[part] = []
            for number, shard in enumerate(_shards(weights[part]), 1):
                name, data = f"{part}-{number}.safetensors", save_tensors(shard)
                (written / name).write_bytes(data)
                hashes[name] = hashlib.sha256(data).hexdigest()
                parts[part].append(name)
        manifest = {
            "format": FORMAT,
            "labels": list(labels),
            "spec": spec.to_dict(),
            "spec_sha256": spec.sha256(),
            "norm_tr": dataclasses.asdict(config),
            "calibration": dataclasses.asdict(calibration),
            "crowd": {m: dataclasses.asdict(of) for m, of in crowd.items()},
            "parts": parts,
            "sha256": hashes,
        }
        text = json.dumps(manifest, indent=1) + "\n"
        (written / "manifest.json").write_text(text)
        for old in folder.glob("*.safetensors"):
            old.unlink()
        for name in [*hashes, "manifest.json"]:
            shutil.move(written / name, folder / name)
    return hashlib.sha256(text.encode()).hexdigest()


def _shards(tensors: Weights) -> list[dict[str, Array]]:
    shards: list[dict[str, Array]] = [{}]
    size = 0
    for name, tensor in sorted(tensors.items()):
        half = np.asarray(tensor, order="C")
        if half.dtype.kind == "f":
            with np.errstate(over="ignore"):  # what becomes infinite is refused when it is read
                half = half.astype(np.float16)
        size += half.nbytes
        if size > SHARD_BYTES and shards[-1]:
            shards.append({})
            size = half.nbytes
        shards[-1][name] = half
    return shards


def load(folder: Path) -> Checkpoint:
    """Read and verify a checkpoint. Raises CheckpointError when it cannot be used.

    Other packages can read their own kinds of folders: an entry point in the group
    `normtr.checkpoints` has the name of a file that such a folder contains. They raise UserError.
    """
    for point in entry_points(group="normtr.checkpoints"):
        if (folder / point.name).is_file() and not (folder / "manifest.json").is_file():
            loaded: Checkpoint = point.load()(folder)
            return loaded
    try:
        text_of_manifest = (folder / "manifest.json").read_text(encoding="utf-8")
        manifest = json.loads(text_of_manifest, parse_constant=_refuse)
        if not isinstance(manifest, dict):
            raise ValueError("not a JSON object")
    except FileNotFoundError:
        raise CheckpointError(f"{folder} is no checkpoint: it has no manifest.json.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"the manifest of checkpoint {folder} is damaged ({error})."
        ) from None
    if manifest.get("format") != FORMAT:
        raise CheckpointError(
            f"checkpoint {folder} has format {manifest.get('format')!r}; this version reads {FORMAT}."
        )
    try:
        spec = FeatureSpec.from_dict(manifest["spec"])
        labels = tuple(str(label) for label in manifest["labels"])
        config = dacite.from_dict(NormTrConfig, manifest["norm_tr"], dacite.Config(strict=True))
        calibration = dacite.from_dict(
            Calibration, manifest["calibration"], dacite.Config(cast=[float, tuple], strict=True)
        )
        crowd = {
            str(m): dacite.from_dict(
                Expected, of, dacite.Config(cast=[tuple], type_hooks={float: float}, strict=True)
            )
            for m, of in manifest.get("crowd", {}).items()  # earlier versions have none
        }
    except (KeyError, TypeError, ValueError, AttributeError, dacite.DaciteError) as error:
        raise CheckpointError(
            f"the manifest of checkpoint {folder} does not fit: {error}."
        ) from None
    # A manifest of an earlier version lacks what came later, which then has its usual value.
    if manifest.get("spec_sha256") != sha256_of(manifest["spec"]):
        raise CheckpointError(
            f"checkpoint {folder} does not fit: its feature specification was changed."
        )
    if (
        config.dims != spec.dims
        or tuple(config.dims) != MODALITIES
        or config.steps != spec.steps
        or config.outputs != len(labels)
        or labels != LABELS
        or not _can_be_built(spec, config)
    ):
        raise CheckpointError(
            f"checkpoint {folder} does not fit: network, labels and features disagree."
        )
    if not can_be_computed(calibration, len(labels)):
        raise CheckpointError(f"checkpoint {folder} does not fit: its calibration is no number.")
    if not set(crowd) <= {Modality.FACE, Modality.VOICE} or not all(
        of.fits(len(labels)) for of in crowd.values()
    ):
        raise CheckpointError(f"checkpoint {folder} does not fit: its crowd is no crowd of ours.")
    found = _read_parts(folder, manifest)
    for part, tensors in found.items():
        if not all(np.isfinite(tensor).all() for tensor in tensors.values()):
            raise CheckpointError(f"checkpoint {folder} is damaged: {part} holds no numbers.")
        try:
            _check(part, tensors, spec, config)
        except Unfit:
            raise CheckpointError(
                f"checkpoint {folder} does not fit: {part} has other layers or sizes."
            ) from None
    face, voice, text, adapter, norm_tr = (found[part] for part in PARTS)
    return Checkpoint(
        spec,
        labels,
        calibration,
        face,
        voice,
        text,
        adapter,
        NormTrWeights(config, norm_tr),
        hashlib.sha256(text_of_manifest.encode()).hexdigest(),
        crowd,
    )


def _check(part: str, tensors: Weights, spec: FeatureSpec, config: NormTrConfig) -> None:
    """Raise Unfit when the weights are not those of the part's network."""
    match part:
        case Modality.FACE:
            face_graph(tensors, spec.face, len(LABELS))
        case Modality.VOICE:
            voice_graph(tensors, spec.voice, len(LABELS))
        case Modality.TEXT:
            take = Reader(tensors)
            take("weight", len(LABELS), spec.text.dim), take("bias", len(LABELS))
            take.end()
        case "norm_tr":
            norm_tr_graph(tensors, config, VERSIONS)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


def _can_be_built(spec: FeatureSpec, config: NormTrConfig) -> bool:
    return (
        spec.face.members > 0
        and all(0 < dim <= MAX_ROW for dim in (*spec.dims.values(), 2 * spec.voice.width))
        and config.width <= MAX_WIDTH
        and config.steps <= MAX_STEPS
        and config.depth <= MAX_DEPTH
    )


def can_be_computed(calibration: Calibration, labels: int) -> bool:
    """Return whether the calibration's numbers are finite, in range, and fit this many labels."""
    logs = (calibration.log_temperature, *calibration.missing.values())
    return (
        set(calibration.missing) <= set(MODALITIES)
        and math.isfinite(calibration.threshold)
        and all(abs(value) <= 10.0 for value in logs)
        and len(calibration.prior) == labels
        and all(0.0 < share < 1.0 for share in calibration.prior)
    )


def _read_parts(folder: Path, manifest: dict[str, Any]) -> dict[str, dict[str, Array]]:
    out: dict[str, dict[str, Array]] = {}
    for part in PARTS:
        out[part] = {}
        try:
            names = [str(name) for name in manifest["parts"][part]]
            hashes = {name: manifest["sha256"][name] for name in names}
        except (KeyError, TypeError):
            raise CheckpointError(f"the manifest of checkpoint {folder} lacks '{part}'.") from None
        for name, expected in hashes.items():
            if not FILE_NAME.fullmatch(name):
                raise CheckpointError(
                    f"the manifest of checkpoint {folder} names {name!r}, which is no file of it."
                )
            path = folder / name
            try:
                data = path.read_bytes()
            except OSError:
                raise CheckpointError(f"checkpoint {folder} lacks the file {name}.") from None
            if hashlib.sha256(data).hexdigest() != expected:
                raise CheckpointError(f"{path} is damaged: its sha256 is not the recorded one.")
            try:
                out[part] |= weight_files.of_bytes(data)
            except ValueError as error:
                raise CheckpointError(f"{path} is no safetensors file: {error}.") from None
    return out
