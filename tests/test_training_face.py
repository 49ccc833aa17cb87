"""The face part on a few tiny pictures: folds, members, the ensemble that is shipped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from normtr.resnet import ResNetEnsemble
from normtr.spec import LABELS
from training.commands import train
from training.data import fer2013

pytestmark = pytest.mark.slow

SHIPS = ("face.safetensors", "fold-0/face.safetensors", "fold-1/face.safetensors")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("faces") / "fer2013.npz"
    random = np.random.default_rng(0)
    label = np.tile(np.arange(7), 8).astype(np.int8)
    split = np.r_[np.zeros(42), np.ones(14)].astype(np.int8)
    images = random.integers(0, 256, (len(label), 48, 48), dtype=np.uint8)
    np.savez(path, images=images, label=label, split=split)
    return path


def test_votes_are_labels_where_a_majority_agrees(tmp_path: Path) -> None:
    columns = [
        "neutral",
        "happy",
        "surprise",
        "sad",
        "angry",
        "disgust",
        "fear",
        "contempt",
        "unknown",
        "none",
    ]
    votes = np.zeros((7, 10), np.int8)
    for row, voted in enumerate(
        ({"happy": 10}, {"angry": 5, "sad": 4}, {"fear": 4}, {"sad": 5, "fear": 5})
    ):
        for name, count in voted.items():
            votes[row, columns.index(name)] = count
    votes[3:5, columns.index("contempt")] = 6, 10
    votes[4:, columns.index("surprise")] = 0, 9, 8
    image = np.arange(7 * 48 * 48, dtype=np.uint32).astype(np.uint8).reshape(7, 48, 48)
    np.savez(
        tmp_path / "ferplus.npz",
        images=image,
        votes=votes,
        split=np.zeros(7, np.int8),
        repeat=np.array([0, 0, 0, 0, 0, 1, 0]),
        copy_of_training=np.zeros(7),
    )
    faces = fer2013.load(tmp_path / "ferplus.npz", 0)
    assert [LABELS[label] for label in faces.labels] == ["happy", "angry", "surprise"]
    assert np.array_equal(faces.images, image[[0, 1, 6]])


def trained(pictures: Path, out: Path, evened: float) -> dict[str, dict[str, torch.Tensor]]:
    fields = {"data": pictures, "epochs": 2, "fold_epochs": 2, "batch": 8, "evened": evened}
    argv = ["--part", "training.recognizer.face.FacePart", "--out", str(out)]
    argv += ["--part.init_args.spec.face.width", "2"]
    argv += [word for k, v in fields.items() for word in (f"--part.init_args.{k}", str(v))]
    assert train.run(argv) == 0
    return {name: load_file(out / name) for name in SHIPS}


def test_both_folds_go_on_as_members_of_the_ensemble(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    found = trained(pictures, out, evened=0.0)
    ensemble = ResNetEnsemble(2, 2, len(LABELS))
    ensemble.load_state_dict(found["face.safetensors"])
    stems = [member.state_dict()["stem.0.weight"] for member in ensemble.members]
    members = [load_file(out / f"member-{k}/face.safetensors") for k in (0, 1)]
    for stem, member in zip(stems, members, strict=True):
        assert torch.equal(stem, member["members.0.stem.0.weight"])
    assert not torch.equal(*stems)
    report = json.loads((out / "metrics.json").read_text())
    assert {"accuracy", "uar", "ece", "reported", "fold-0", "fold-1"} <= set(report)
    # Stopped after the members: it goes on and ends with the same network.
    (out / "face.safetensors").unlink()
    assert torch.equal(
        trained(pictures, out, evened=0.0)["face.safetensors"]["head.weight"],
        ensemble.head.weight,
    )


def test_evening_relieves_the_logits_of_the_classes_frequencies(
    pictures: Path, tmp_path: Path
) -> None:
    with np.load(pictures) as file:
        kept = dict(file)
    kept["label"][:21] = 3
    np.savez(tmp_path / "uneven.npz", **kept)
    plain = trained(tmp_path / "uneven.npz", tmp_path / "plain", evened=0.0)
    even = trained(tmp_path / "uneven.npz", tmp_path / "even", evened=0.6)
    counts = np.bincount(kept["label"][:42], minlength=7) + 1
    expected = -0.6 * torch.from_numpy(np.log(counts / counts.sum())).float()
    for name in SHIPS:
        assert torch.equal(plain[name]["head.weight"], even[name]["head.weight"])
        change = even[name]["head.bias"] - plain[name]["head.bias"]
        assert torch.allclose(change, expected, atol=1e-4)
