"""Runs Lightning's training loop with our rules: seeds per epoch, resuming, whole files."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch.utils.data import DataLoader

from normtr.whole_file import whole_file
from training.systems.progress import Progress

UNWANTED = (
    "Experiment logs directory .* exists",  # a run that goes on has one
    "Checkpoint directory .* exists",
    "The number of training batches",  # small sets have few
    "The '.*_dataloader' does not have many workers",  # batches are made in no time
    ".*LeafSpec.* is deprecated",  # Lightning's own use of torch
)
"""Warnings of Lightning about what no user of ours can or need change."""


def first_process() -> bool:
    """Return whether this is the process that prints and writes, of those that train together.

    torchrun and Lightning number their processes in RANK or LOCAL_RANK.
    """
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))) == 0


class SeedEpoch(Callback):
    """Sets the random state by (seed, epoch) alone, so that resumed and unbroken runs are equal."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def on_train_epoch_start(self, trainer: lightning.Trainer, _: Any) -> None:
        lightning.seed_everything(self._seed * 1_000 + trainer.current_epoch, verbose=False)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's advertisements and its UNWANTED warnings."""
    log = logging.getLogger("lightning.pytorch")
    level = log.level
    log.setLevel(max(level, logging.WARNING))
    try:
        with warnings.catch_warnings():
            for said in UNWANTED:
                warnings.filterwarnings("ignore", said)
            yield
    finally:
        log.setLevel(level)


class WholeFiles(TorchCheckpointIO):
    """Gives a checkpoint its name only once it is whole.

    So the last one stays if the program is killed or the disk is full.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        with whole_file(Path(path)) as partial:
            super().save_checkpoint(checkpoint, partial, storage_options)


@_quiet()
def fit(
    module: lightning.LightningModule,
    train: DataLoader[Any],
    valid: DataLoader[Any],
    *,
    run: Path,
    epochs: int,
    monitor: str,
    mode: str,
    seed: int,
    precision: Any = "32-true",
    clip: float | None = None,
    ema: float = 0.0,
    devices: int = 1,
    progress: bool = True,
) -> Path:
    """Train, resuming from the last finished epoch in `run`; return the best checkpoint's path.

    The best epoch is that of the `mode` ("min" or "max") of the metric `monitor`. `clip` bounds the
    norm of the gradient; None means no bound. `ema` is the decay of a moving average of the
    weights, which is then validated and kept; 0 means none. `devices` is the number of GPUs, or of
    processes without a GPU, and all of them return. Raises KeyboardInterrupt when the user
    interrupts the training.
    """
    keeper = ModelCheckpoint(
        run,
        "best",
        monitor=monitor,
        mode=mode,
        save_weights_only=not ema,  # an average of the weights is only in a whole checkpoint
        enable_version_counter=False,
    )
    # The keeper's `save_last` would keep the last checkpoint that was the best so far.
    latest = ModelCheckpoint(run, "last", enable_version_counter=False)
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="auto",
        devices=devices,
        strategy="auto" if devices == 1 else "ddp_find_unused_parameters_true",
        use_distributed_sampler=False,  # EpochOrder already deals samples to the processes
        precision=precision,
        gradient_clip_val=clip,
        enable_progress_bar=False,  # Progress is one line
        logger=[
            CSVLogger(run, name=None, version=""),
            TensorBoardLogger(run, name=None, version=""),
        ],
        plugins=[WholeFiles()],
        callbacks=[
            keeper,
            latest,
            SeedEpoch(seed),
            *([Progress(monitor)] if progress else []),
            *([EMAWeightAveraging(decay=ema)] if ema else []),
        ],
        num_sanity_val_steps=0,
        log_every_n_steps=50,
        deterministic="warn",
        enable_model_summary=False,
    )
    last = run / "last.ckpt"
    with contextlib.redirect_stdout(sys.stderr):  # standard output is for results
        trainer.fit(
            module, train, valid, ckpt_path=str(last) if last.is_file() else None, weights_only=True
        )
    if trainer.interrupted:
        raise KeyboardInterrupt
    return run / "best.ckpt"  # the keeper's own path is stale if the run was moved


def weights_of(checkpoint: Path, prefix: str) -> dict[str, torch.Tensor]:
    """Return the tensors under `prefix` in a Lightning checkpoint of ours, without the prefix."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    return {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}
