"""A small data set of MOSI's shape, and runs of `normtr train` and `evaluate` on it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.commands import evaluate

GOOD = ("A VERY GOOD FILM", "I LOVED IT", "WONDERFUL AND FUNNY", "THE BEST STORY OF THE YEAR")
BAD = ("A TERRIBLE FILM", "I HATED IT", "BORING AND SAD", "THE WORST STORY OF THE YEAR")


def part(videos: int, prefix: str, seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    ids, texts, labels = [], [], []
    for video in range(videos):
        for k in (10, 2, 1):  # not in order: the loader sorts by number
            good = bool(random.random() < 0.5)
            ids.append(f"{prefix}{video}_{k}")
            texts.append(str(random.choice(GOOD if good else BAD)))
            labels.append(2.0 if good else -2.0)
    n = len(ids)
    audio = np.array(labels)[:, None] * 0.2 + random.normal(size=(n, 5))
    audio[0, 3] = np.nan
    labels[1] = np.nan
    return {
        "id": np.array(ids),
        "text_raw": np.array(texts),
        "sentiment": np.array(labels, np.float32),
        "text": random.normal(size=(n, 6)).astype(np.float32),
        "audio": audio.astype(np.float32),
        "video": random.normal(size=(n, 4)).astype(np.float32),
    }


def write(folder: Path) -> Path:
    """The data set's files, into a folder that is there."""
    parts = {"train": part(26, "a", 1), "test": part(10, "b", 2)}
    arrays = {f"{name}_{key}": x for name, arrays in parts.items() for key, x in arrays.items()}
    np.savez(folder / "mosi_utterance.npz", **arrays)
    return folder


def data_section(folder: Path) -> str:
    """The part of a config that names the data set in the folder, three utterances a window."""
    return f"""
[data]
class_path = "training.data.mosi.MosiSentences"
init_args = {{ path = "{folder}", steps = 3 }}
"""


def arguments(folder: Path, out: Path, *more: str, dropout: float = 0.1) -> list[str]:
    config = folder / f"small-{dropout}.toml"
    config.write_text(f"""{data_section(folder)}
[system]
class_path = "training.systems.norm_tr.NormTrSystem"
[system.init_args]
masks = "rates"
[system.init_args.network]
width = 32
dropout = {dropout}
components = {{ text = 4 }}
[system.init_args.learning]
epochs = 10
lr = 3e-3
batch = 8
ema = 0.8
""")
    return ["--config", str(config), "--out", str(out), *more]


def report(capsys: pytest.CaptureFixture[str], *argv: object) -> dict[str, Any]:
    capsys.readouterr()
    assert evaluate.run([*map(str, argv), "--json"]) == 0
    out: dict[str, Any] = json.loads(capsys.readouterr().out)
    return out


PROGRAM = [str(Path(sys.executable).with_name("normtr"))]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "normtr"]


def started(program: list[str], argv: list[str]) -> None:
    done = subprocess.run(
        [*program, "train", *argv, "--json"],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["dataset"] == "mosi_words"  # told once
