"""IEMOCAP in the files of MMIN's authors, on small files of that shape."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from normtr.errors import UserError
from training.data.iemocap_folds import FILES, PARTS, IemocapFolds
from training.systems.if_mmin import IfMmin
from training.systems.phase import Phase

DIMS = {"voice": 5, "face": 4, "text": 6}
LENGTHS = {"voice": 9, "face": 5, "text": 3}
"""Rows at most; faces always have so many."""
SPEAKERS = {"train": ("01F", "01M"), "valid": ("05F",), "test": ("05M",)}


@pytest.fixture
def data(tmp_path: Path) -> IemocapFolds:
    random = np.random.default_rng(0)
    files = {}
    for m, name in FILES.items():
        (tmp_path / name).parent.mkdir()
        files[m] = h5py.File(tmp_path / name, "w")
    folder = tmp_path / "target" / "1"
    folder.mkdir(parents=True)
    for split, short in PARTS.items():
        count = 32 if split == "train" else 8
        names, labels = [], np.arange(count) % 4
        for i in range(count):
            who = SPEAKERS[split][i % len(SPEAKERS[split])]
            name = f"Ses{who}_impro01_{who[2]}{i:03}"
            names.append([name.encode()])
            for m, file in files.items():
                t = LENGTHS[m] if m == "face" else int(random.integers(1, LENGTHS[m] + 1))
                file[name] = (random.normal(size=(t, DIMS[m])) + labels[i]).astype(np.float32)
        np.save(folder / f"{short}_int2name.npy", np.array(names))
        np.save(folder / f"{short}_label.npy", np.eye(4)[labels])
    for file in files.values():
        file.close()
    return IemocapFolds(tmp_path, steps=6)


def test_rows_names_and_classes_are_the_files(data: IemocapFolds) -> None:
    samples = data.load("test")
    assert list(samples.windows.rows) == ["voice", "face", "text"]
    assert samples.windows.labels.tolist() == [0, 1, 2, 3] * 2
    assert samples.groups == ("05M",) * 8
    assert samples.ids[0] == "Ses05M_impro01_M000"
    with h5py.File(data.path / FILES["text"]) as file:
        for i, name in enumerate(samples.ids):
            rows = file[name][()]
            valid = samples.windows.valid[i, 2]
            assert valid.tolist() == [n < len(rows) for n in range(6)]
            assert np.array_equal(samples.windows.rows["text"][i][valid].numpy(), rows)
    assert data.groups() == {"train": {"01F", "01M"}, "valid": {"05F"}, "test": {"05M"}}


def test_longer_voices_are_averaged(data: IemocapFolds) -> None:
    samples = data.load("train")
    with h5py.File(data.path / FILES["voice"]) as file:
        name = next(name for name in samples.ids if len(file[name]) == 9)
        rows = file[name][()]
    mine = samples.windows.rows["voice"][samples.ids.index(name)].numpy()
    assert mine[0] == pytest.approx(rows[:1].mean(0))
    assert mine[-1] == pytest.approx(rows[7:].mean(0))


@pytest.mark.slow
def test_a_system_is_trained_on_them(data: IemocapFolds, tmp_path: Path) -> None:
    phase = Phase(constant=1, decay=1, batch=16, clip=1.0, dropout=0.0, beta1=0.5)
    system = IfMmin(preset="as_released", first=phase, second=phase)
    found = system.train(data, tmp_path / "run", 1, progress=False)
    assert found["dataset"] == "iemocap fold 1"
    assert 0 <= found["valid_auilc"]["uar"] <= 1


def test_what_cannot_be_read_is_one_sentence(data: IemocapFolds) -> None:
    with pytest.raises(ValueError, match="folds are 1 to 10"):
        replace(data, fold=11)
    with pytest.raises(UserError, match="cannot be read"):
        replace(data, fold=2).load("train")
    with h5py.File(data.path / FILES["face"], "a") as file:
        del file["Ses05M_impro01_M003"]
    with pytest.raises(UserError, match="has no Ses05M_impro01_M003"):
        data.load("test")
    np.save(data.path / "target/1/tst_label.npy", np.zeros((8, 3)))
    with pytest.raises(UserError, match="labels of shape"):
        data.load("test")
    path = data.path / FILES["voice"]
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match="cannot be read"):
        data.load("train")
