"""One training run: Lightning's loop with our rules (seeds per epoch, resume, atomic results)."""

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
    "Experiment logs directory .* exists",  # of a run that goes on
    "Checkpoint directory .* exists",
    "The number of training batches",  # small sets have few
    "The '.*_dataloader' does not have many workers",  # batches are made in no time
    ".*LeafSpec.* is deprecated",  # Lightning's own use of torch
)
"""What Lightning warns of and no user of ours can or need change."""


def first_process() -> bool:
    """Whether this is the process that tells: torchrun and Lightning number theirs."""
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))) == 0


class SeedEpoch(Callback):
    """Random state depends on (seed, epoch) only, so that a resumed run equals an unbroken one."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def on_train_epoch_start(self, trainer: lightning.Trainer, _: Any) -> None:
        lightning.seed_everything(self._seed * 1_000 + trainer.current_epoch, verbose=False)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's advertisements, and its UNWANTED warnings."""
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
    """A checkpoint has its name only once it is whole: killed or on a full disk, the last stays."""

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

    `ema`: decay of a moving average of the weights, which is validated and kept; 0: none.
    `devices`: GPUs, or processes where there is none, which all return.
    """
    keeper = ModelCheckpoint(
        run,
        "best",
        monitor=monitor,
        mode=mode,
        save_weights_only=not ema,  # an average of the weights is only in a whole checkpoint
        enable_version_counter=False,
    )
    # Not the keeper's `save_last`, which keeps the last one that was the best so far.
    latest = ModelCheckpoint(run, "last", enable_version_counter=False)
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="auto",
        devices=devices,
        strategy="auto" if devices == 1 else "ddp_find_unused_parameters_true",
        use_distributed_sampler=False,  # the training set's own order knows the processes
        precision=precision,
        gradient_clip_val=clip,
        enable_progress_bar=False,  # ours is a line
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
    with contextlib.redirect_stdout(sys.stderr):  # where progress belongs
        trainer.fit(
            module, train, valid, ckpt_path=str(last) if last.is_file() else None, weights_only=True
        )
    if trainer.interrupted:
        raise KeyboardInterrupt
    return run / "best.ckpt"  # wherever the run has been moved to


def weights_of(checkpoint: Path, prefix: str) -> dict[str, torch.Tensor]:
    """The tensors under `prefix` of a Lightning checkpoint of ours."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    return {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}
