"""A run on disk: `run.json` (its settings), `model.safetensors` and Lightning's checkpoints."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from normtr.errors import UserError
from normtr.whole_file import refuse_existing, whole_file
from training.config_json import describe, restore

SETTINGS, MODEL = "run.json", "model.safetensors"
LOGS = ("hparams.yaml", "metrics.csv", "events.out.tfevents.*", "*.partial")
"""Patterns of files from which no training can be resumed."""


@dataclass(frozen=True)
class Run:
    """What the folder of a run on a data set says."""

    data: Any
    """The data set (`training.samples.DataSet`)."""
    system: Any
    """The system (`training.systems.system.System`)."""
    seed: int
    model: Path
    """The file of weights."""


def rate_folder(rate: float) -> str:
    """Return the name of the folder in which a per-rate run keeps the model of one rate."""
    return f"rate-{rate:g}"


def begin(
    out: Path, configs: Mapping[str, Any], seed: int, *, resume: bool, force: bool = False
) -> None:
    """Make the folder of a run, or check that the run in it has the same settings.

    `configs` holds `data` and `system`, or the `part` of a recognizer. With `resume` the run must
    be there already. With `force` a run that is there is deleted, and the folder may hold other
    files. Raises UserError when the folder cannot be used so.
    """
    path = out / SETTINGS
    if path.is_file() and force:
        shutil.rmtree(out)
    if path.is_file():
        if not _made_from(_read(path), configs, seed):
            raise UserError(
                f"{out} holds a run of other settings; give another --out, or --force to replace it."
            )
        return
    if resume:
        raise UserError(f"{out} holds no run to resume.")
    refuse_filled(out, force, but=(f"{SETTINGS}.partial",))
    out.mkdir(parents=True, exist_ok=True)
    described = {name: describe(config) for name, config in configs.items()}
    write_json(path, {**described, "seed": seed})


def refuse_filled(folder: Path, force: bool, but: Collection[str] = ()) -> None:
    """Raise UserError when `folder` exists and `force` does not allow it.

    A folder that is empty, or holds only files with the names in `but`, is never refused.
    """
    if not folder.is_dir() or any(path.name not in but for path in folder.iterdir()):
        refuse_existing(folder, force)


@contextmanager
def gone_if_failed(out: Path) -> Iterator[None]:
    """Remove the run folder after an error if it was made within this context.

    It stays if a training can be resumed from it, or if the user interrupted the program.
    """
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        yield
    except Exception:
        if made and out.is_dir() and not _resumable(out):
            shutil.rmtree(out)
            with suppress(OSError):  # another run may have been made beside it
                for folder in made[1:]:
                    folder.rmdir()
        raise


def _resumable(out: Path) -> bool:
    """Return whether the folder holds more than its settings and logs."""
    return any(
        path.is_file() and not any(path.match(name) for name in (SETTINGS, *LOGS))
        for path in out.rglob("*")
    )


def _made_from(settings: Mapping[str, Any], configs: Mapping[str, Any], seed: int) -> bool:
    """Return whether these settings were written for the same configs and seed.

    A field that did not exist when they were written counts as having its default value.
    """
    if settings.keys() != {*configs, "seed"} or settings["seed"] != seed:
        return False
    try:
        written = {name: restore(settings[name]) for name in configs}
    except UserError:
        return False
    return all(describe(written[name]) == describe(config) for name, config in configs.items())


def write_model(out: Path, model: nn.Module) -> None:
    """Write the weights into the folder of the run."""
    write_tensors(out / MODEL, model.state_dict())


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file, whole or not at all."""
    with whole_file(path) as partial:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial)


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an .npz file, whole or not at all."""
    with whole_file(path) as partial, partial.open("wb") as file:
        named: dict[str, Any] = dict(arrays)
        np.savez(file, **named)


def write_json(path: Path, content: Any) -> None:
    with whole_file(path) as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n")


def read(run: Path) -> Run:
    """Read a run on a data set; `run` is its folder or the file of weights in it.

    Raises UserError when there is no such run, or when it has not ended.
    """
    folder = run.parent if run.is_file() else run
    if not (folder / SETTINGS).is_file():
        raise UserError(f"{folder} is no run: it has no {SETTINGS}.")
    settings = _read(folder / SETTINGS)
    if _of_first_version(settings):
        raise UserError(
            f"the run {folder} was made by version 0.1 and is not read; train it again."
        )
    if not {"data", "system"} <= settings.keys():
        raise UserError(f"{folder} is no run on a data set.")
    if not (folder / MODEL).is_file():
        raise UserError(f"the run {folder} has not ended: it has no {MODEL}.")
    data, system = restore(settings["data"]), restore(settings["system"])
    if not (is_dataclass(data) and is_dataclass(system)):
        raise UserError(f"{folder} is no run on a data set.")
    return Run(data, system, int(settings.get("seed", 0)), folder / MODEL)


def _of_first_version(settings: Mapping[str, Any]) -> bool:
    """Whether the data set is a field of the part, as it was before version 0.2."""
    part = settings.get("part")
    fields = part.get("init_args") if isinstance(part, dict) else None
    return isinstance(fields, dict) and "data" in fields


def fill(model: nn.Module, run: Run) -> None:
    """Load the run's weights into the model. Raises UserError when they do not fit."""
    try:
        model.load_state_dict(load_file(run.model))
    except (SafetensorError, OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{run.model} does not fit these data and settings: {reason}") from None
    model.eval()


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}.") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} is no run's settings.")
    return content
