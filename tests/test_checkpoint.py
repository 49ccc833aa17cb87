"""A checkpoint comes back as it was saved, or is refused with one sentence."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from normtr import checkpoint
from normtr.calibration import Calibration
from normtr.checkpoint import CheckpointError
from normtr.crowd import Expected
from normtr.fusion import NormTrWeights
from normtr.model import NormTr
from normtr.norm_tr_config import NormTrConfig
from normtr.resnet import ResNetEnsemble
from normtr.spec import LABELS, MODALITIES, FaceSpec, FeatureSpec, VoiceSpec, sha256_of
from normtr.torch_networks import weights_of
from normtr.voice_network import VoiceNetwork

SPEC = FeatureSpec(face=FaceSpec(width=4), voice=VoiceSpec(width=4, dim=8))
CONFIG = NormTrConfig(dims=SPEC.dims, outputs=len(LABELS), width=32, heads=4, masked=True)
CALIBRATION = Calibration(0.25, {"face": 0.1, "text": -0.2}, 0.3, (0.4, *[0.1] * 6))
ADAPTER = {"layer.a": np.ones((2, 8), "f4"), "layer.b": np.full((8, 2), 0.5, "f4")}
PARTS = checkpoint.PARTS


def networks() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    return {
        "face": ResNetEnsemble(FaceSpec(width=4), 7),
        "voice": VoiceNetwork(SPEC.voice, 7),
        "text": nn.Linear(SPEC.text.dim, 7),
        "norm_tr": NormTr(CONFIG),
    }


def save(folder: Path, **other: nn.Module) -> str:
    weights = {part: weights_of(network) for part, network in (networks() | other).items()}
    weights["adapter"] = ADAPTER
    return checkpoint.save(folder, SPEC, LABELS, CALIBRATION, weights, CONFIG)


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint of several shards a part."""
    monkeypatch.setattr(checkpoint, "SHARD_BYTES", 20_000)
    save(tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def test_a_crowd_comes_back_and_a_senseless_one_is_refused(saved: Path) -> None:
    assert checkpoint.load(saved).crowd == {}
    of = {"mean": [[0.0, 1.0, 2, 3, 4, 5, 6]] * 7}
    edit(saved, lambda manifest: manifest.update(crowd={"face": of}))
    assert checkpoint.load(saved).crowd == {"face": Expected(((0, 1, 2, 3, 4, 5, 6),) * 7)}
    edit(saved, lambda manifest: manifest.pop("crowd"))  # as of an earlier version
    assert checkpoint.load(saved).crowd == {}
    for wrong in (
        {"text": of},
        {"face": {"mean": [[0.0] * 7] * 6}},
        {"face": {"mean": [[0.0] * 6] * 7}},
        {"face": {"mean": [["sad"] * 7] * 7}},
        {"face": {"mean": [1.0] * 7}},
        {"face": of | {"deviation": 1.0}},
        {"face": [1, 2]},
        [],
    ):
        edit(saved, lambda manifest, wrong=wrong: manifest.update(crowd=wrong))
        assert "does not fit" in refusal(saved)


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def sign(folder: Path, name: str) -> None:
    """Record the hash of a file that was put there by someone else."""
    sha256 = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    edit(folder, lambda manifest: manifest["sha256"].update({name: sha256}))


def refusal(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load(folder)
    sentence = str(caught.value)
    assert str(folder) in sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


def test_what_is_loaded_is_what_was_saved(saved: Path) -> None:
    loaded = checkpoint.load(saved)
    assert len(list(saved.glob("face-*.safetensors"))) > 1
    assert (loaded.spec, loaded.labels) == (SPEC, LABELS)
    assert loaded.calibration == CALIBRATION
    assert isinstance(loaded.norm_tr, NormTrWeights)
    assert loaded.norm_tr.config == CONFIG
    assert all(np.array_equal(loaded.adapter[name], ADAPTER[name]) for name in ADAPTER)
    found = {part: getattr(loaded, part) for part in MODALITIES}
    found["norm_tr"] = loaded.norm_tr.weights
    for part, network in networks().items():
        for name, tensor in network.state_dict().items():
            assert found[part][name].dtype == tensor.numpy().dtype
            assert np.array_equal(found[part][name], tensor.half().to(tensor.dtype)), name


def test_a_spec_without_what_came_later_is_read(saved: Path) -> None:
    def older(manifest: dict[str, Any]) -> None:
        del manifest["spec"]["face"]["max_yaw_deg"]
        manifest["spec_sha256"] = sha256_of(manifest["spec"])

    edit(saved, older)
    assert checkpoint.load(saved).spec == SPEC


def test_the_hash_names_the_content_and_not_the_place(tmp_path: Path) -> None:
    first, again = save(tmp_path / "a"), save(tmp_path / "b")
    assert first == again == checkpoint.load(tmp_path / "b").sha256
    assert save(tmp_path / "c", face=ResNetEnsemble(FaceSpec(width=4), 7)) != first


def test_saving_again_replaces_the_shards_and_leaves_other_files(saved: Path) -> None:
    (saved / "model_card.md").write_text("kept")
    (saved / "face-99.safetensors").write_text("an old one")
    sha256 = save(saved)
    assert checkpoint.load(saved).sha256 == sha256
    assert (saved / "model_card.md").read_text() == "kept"
    assert not (saved / "face-99.safetensors").exists()


@pytest.mark.parametrize("part", PARTS)
def test_a_damaged_a_cut_and_a_missing_shard_are_named(saved: Path, part: str) -> None:
    shard = saved / f"{part}-1.safetensors"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert shard.name in refusal(saved)
    shard.write_bytes(whole[: len(whole) // 2])
    assert shard.name in refusal(saved)
    shard.unlink()
    assert shard.name in refusal(saved)


def test_a_folder_that_is_no_checkpoint_says_so(tmp_path: Path) -> None:
    assert "no manifest.json" in refusal(tmp_path)
    assert "no manifest.json" in refusal(tmp_path / "missing")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "\xff", '{"format": NaN}', "[" * 100_000, '{"format": 1}']
)
def test_a_manifest_that_is_none_is_refused(saved: Path, text: str) -> None:
    (saved / "manifest.json").write_bytes(text.encode("latin-1"))
    assert "manifest" in refusal(saved)


@pytest.mark.parametrize("found", [None, 0, 3, "4"])
def test_another_format_is_refused_by_its_number(saved: Path, found: object) -> None:
    edit(saved, lambda manifest: manifest.update(format=found))
    assert f"format {found!r}" in refusal(saved)


EDITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "another threshold in the spec": lambda m: m["spec"]["voice"].update(gate_dbfs=-40.0),
    "an unknown key in the spec": lambda m: m["spec"]["face"].update(crop=48),
    "a wrong type in the spec": lambda m: m["spec"].update(steps="sixteen"),
    "a spec that is a list": lambda m: m.update(spec=[1]),
    "no spec": lambda m: m.update(spec=None),
    "a network that is a word": lambda m: m.update(norm_tr="wide"),
    "no calibration": lambda m: m.update(calibration=None),
    "a missing spec": lambda m: m.pop("spec"),
    "a huge face network": lambda m: resize(m, "face", 10**9),
    "a ensemble of fewer than none": lambda m: resize(m, "face", -4, members=-2),
    "a voice network of no width": lambda m: resize(m, "voice", 0),
    "labels in another order": lambda m: m["labels"].reverse(),
    "a label too few": lambda m: m["labels"].pop(),
    "labels that are none": lambda m: m.update(labels=7),
    "an unknown key of the network": lambda m: m["norm_tr"].update(layers=3),
    "a huge network": lambda m: m["norm_tr"].update(width=10**9),
    "an endless network": lambda m: m["norm_tr"].update(depth=10**9),
    "heads that do not divide": lambda m: m["norm_tr"].update(heads=5),
    "no heads": lambda m: m["norm_tr"].update(heads=0),
    "other steps": lambda m: m["norm_tr"].update(steps=8),
    "another order of modalities": lambda m: m["norm_tr"].update(
        dims=dict(reversed(m["norm_tr"]["dims"].items()))
    ),
    "a calibration of words": lambda m: m["calibration"].update(threshold="high"),
    "an infinite temperature": lambda m: m["calibration"].update(log_temperature=1e999),
    "a temperature out of all reason": lambda m: m["calibration"].update(log_temperature=1000.0),
    "a prior too short": lambda m: m["calibration"]["prior"].pop(),
    "a class that never occurs": lambda m: m["calibration"]["prior"].__setitem__(0, 0.0),
    "an unknown modality": lambda m: m["calibration"]["missing"].update(smell=0.1),
    "a missing part": lambda m: m["parts"].pop("voice"),
    "a part without hashes": lambda m: m["sha256"].clear(),
    "parts that are none": lambda m: m.update(parts=[]),
    "an empty part": lambda m: m["parts"].update(voice=[]),
    "a shard too few": lambda m: m["parts"]["face"].pop(),
}


def resize(manifest: dict[str, Any], part: str, width: int, **more: int) -> None:
    """Change a width everywhere, hash included, so that only its size is wrong."""
    manifest["spec"][part].update(width=width, **more)
    if part == "face":
        manifest["norm_tr"]["dims"][part] = 8 * width * manifest["spec"][part]["members"]
    manifest["spec_sha256"] = FeatureSpec.from_dict(manifest["spec"]).sha256()


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_manifest_is_refused(saved: Path, name: str) -> None:
    edit(saved, EDITS[name])
    refusal(saved)


@pytest.mark.parametrize("name", ["../{}", "/etc/passwd", "", ".", "weights/{}", "a\0.safetensors"])
def test_a_file_outside_the_folder_is_never_read(saved: Path, name: str) -> None:
    def point_there(manifest: dict[str, Any]) -> None:
        known = manifest["parts"]["face"][0]
        manifest["parts"]["face"][0] = name.format(known)
        manifest["sha256"][name.format(known)] = manifest["sha256"][known]

    edit(saved, point_there)
    assert "which is no file of it" in refusal(saved)


def test_tensors_of_other_shapes_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "wide", voice=VoiceNetwork(VoiceSpec(width=5, dim=8), 7))
    assert "voice has other layers or sizes" in refusal(tmp_path / "wide")
    save(tmp_path / "other", norm_tr=ResNetEnsemble(FaceSpec(width=4), 7))
    assert "norm_tr has other layers or sizes" in refusal(tmp_path / "other")


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    broken = ResNetEnsemble(FaceSpec(width=4), 7)
    with torch.no_grad():
        broken.head.weight[0, 0] = 1e6  # infinite as float16
    save(tmp_path / "broken", face=broken)
    assert "face holds no numbers" in refusal(tmp_path / "broken")


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.path,)


def test_pickled_files_are_never_run(saved: Path, tmp_path: Path) -> None:
    (saved / "face-1.safetensors").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    shutil.copy(saved / "face-1.safetensors", saved / "face.pt")
    sign(saved, "face-1.safetensors")
    assert "no safetensors file" in refusal(saved)
    sign(saved, "face.pt")
    edit(saved, lambda manifest: manifest["parts"].update(face=["face.pt"]))
    assert "which is no file of it" in refusal(saved)
    assert not (tmp_path / "sprung").exists()
