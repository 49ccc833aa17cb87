"""The face part: its files of pictures, their crops, and a training on a few tiny ones."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from normtr.errors import UserError
from normtr.face import FaceDetector, align
from normtr.spec import LABELS, FaceSpec
from tests.support import face_files as files
from tests.support.clips import portrait
from training.commands import train
from training.data import face_files
from training.recognizer.face_crops import cropped

pytestmark = pytest.mark.slow

SHIPS = ("face.safetensors", "fold-0/face.safetensors", "fold-1/face.safetensors")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder, random = tmp_path_factory.mktemp("faces"), np.random.default_rng(0)
    grey = random.integers(0, 256, (28, 48, 48), dtype=np.uint8)
    said = files.votes(*({name: 10} for name in files.COLUMNS[:7] * 4))
    colour = random.integers(0, 256, (28, 100, 100, 3), dtype=np.uint8)
    split = [0] * 21 + [1] * 7
    return (
        files.rafdb(folder / "rafdb.npz", colour, list(range(7)) * 4, split),
        files.ferplus(folder / "ferplus.npz", grey, said, split),
    )


def flat(count: int) -> NDArray[np.uint8]:
    return np.full((count, 48, 48), 100, np.uint8) + np.arange(count, dtype=np.uint8)[:, None, None]


def test_votes_are_shares_and_labels_where_a_majority_agrees(tmp_path: Path) -> None:
    said = files.votes(
        {"happy": 10},
        {"angry": 5, "sad": 4, "unknown": 1},
        {"fear": 4, "sad": 3, "contempt": 3},
        {"sad": 5, "fear": 5},
        {"contempt": 6, "surprise": 4},
        {"unknown": 10},
        {"surprise": 10},
        {"sad": 5, "contempt": 5},
    )
    path = files.ferplus(tmp_path / "f.npz", flat(8), said, [0] * 8, repeat=[6])
    found = face_files.load(path, 0)
    assert found.names == tuple(f"ferplus {i}" for i in (0, 1, 2, 3, 4, 7))
    named = ["happy", "angry", None, None, None, None]
    assert found.labels.tolist() == [-1 if n is None else LABELS.index(n) for n in named]
    assert found.shares[1, LABELS.index("angry")] == pytest.approx(5 / 9)
    assert found.shares.sum(1) == pytest.approx(np.ones(6))
    assert np.abs(found.images.mean((1, 2)) - [100, 101, 102, 103, 104, 107]).max() < 1.5


def test_rafdb_is_read_in_colour(tmp_path: Path) -> None:
    images = np.zeros((3, 100, 100, 3), np.uint8)
    images[:, :, :, 0] = 200
    path = files.rafdb(tmp_path / "r.npz", images, [4, 0, 6], [1, 0, 1])
    found = face_files.load(path, 1)
    assert found.labels.tolist() == [4, 6]
    assert found.names == ("rafdb 00000.jpg", "rafdb 00002.jpg")
    assert np.array_equal(found.shares, np.eye(7)[[4, 6]])
    assert np.abs(found.images.mean((0, 1, 2)) - [200, 0, 0]).max() < 3


def test_what_is_wrong_with_a_file_is_told(tmp_path: Path) -> None:
    odd = files.votes({"happy": 10}, {"sad": 4})
    uneven = files.ferplus(tmp_path / "u.npz", flat(2), odd, [0, 0])
    few = files.ferplus(tmp_path / "f.npz", flat(1), odd[[0, 0]], [0, 0])
    image = np.zeros((1, 100, 100, 3), np.uint8)
    label = files.rafdb(tmp_path / "l.npz", image, [7], [0])
    small = files.rafdb(tmp_path / "s.npz", image[:, :48], [1], [0])
    for path, why in (
        (uneven, "the votes for its picture 1 are not of ten raters"),
        (few, "has 1 pictures, not 2"),
        (label, "a label is none of the seven"),
        (small, "its picture 0 is no JPEG of 100 x 100 pixels"),
    ):
        with pytest.raises(UserError, match=why):
            face_files.load(path, 0)
    with pytest.raises(UserError, match="has no picture of split 2"):
        face_files.load(files.rafdb(tmp_path / "r.npz", image, [1], [0]), 2)


def test_crops_are_those_of_the_live_detector(tmp_path: Path) -> None:
    """A face is cropped by its landmarks; where none is found, the crop is where most faces are."""
    spec, whole = FaceSpec(), portrait()
    seen = FaceDetector(spec)(whole)[0]
    left, top, right, bottom = (int(x) for x in seen.box)
    side = max(right - left, bottom - top)
    square = whole[top : top + side, left : left + side]
    face = cv2.resize(square, (100, 100), interpolation=cv2.INTER_AREA)
    images = np.stack([face, np.full_like(face, 90)])
    pictures = face_files.load(files.rafdb(tmp_path / "r.npz", images, [3, 3], [0, 0]), 0)
    crops = cropped(pictures, spec, tmp_path / "crops.npz").images
    live = align(whole, seen, spec)
    usual = align(face, replace(seen, landmarks=pictures.landmarks, box=(0, 0, 100, 100)), spec)
    assert alike(crops[0], live) > 0.85 > 0.7 > alike(usual, live)
    assert crops[1].std() < 2
    assert np.array_equal(cropped(pictures, spec, tmp_path / "crops.npz").images, crops)


def alike(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def trained(pictures: tuple[Path, ...], out: Path) -> dict[str, dict[str, torch.Tensor]]:
    data = json.dumps([str(path) for path in pictures])
    fields = {"data": data, "epochs": 2, "fold_epochs": 2, "batch": 8, "pictures": 32}
    argv = ["--part", "training.recognizer.face.FacePart", "--out", str(out)]
    argv += ["--part.init_args.spec.face.width", "2"]
    argv += [word for k, v in fields.items() for word in (f"--part.init_args.{k}", str(v))]
    assert train.run(argv) == 0
    return {name: load_file(out / name) for name in SHIPS}


def test_a_network_and_its_folds_are_trained_and_a_stopped_run_goes_on(
    pictures: tuple[Path, ...], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    found = trained(pictures, out)
    heads = [weights["head.weight"] for weights in found.values()]
    assert not any(torch.equal(a, b) for a, b in pairwise(heads))
    report = json.loads((out / "metrics.json").read_text())
    assert {"whole", "fold-0", "fold-1"} <= set(report)
    assert {"accuracy", "uar", "ece", "reported"} <= set(report["whole"]["rafdb"])
    assert report["whole"]["ferplus"]["n"] == 7
    for name in ("face.safetensors", "metrics.json"):
        (out / name).unlink()
    assert torch.equal(trained(pictures, out)["face.safetensors"]["head.weight"], heads[0])
