"""Shows on standard error how far a training is, in one line that is written over."""

from __future__ import annotations

import sys
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from tqdm import tqdm

WATCHED_S, LOGGED_S = 0.5, 60.0
"""The time, in seconds, between two updates in a terminal, and elsewhere."""


class Progress(Callback):
    """Shows how many batches are done, and the last figure of validation."""

    def __init__(self, monitor: str) -> None:
        self._monitor = monitor
        self._bar: tqdm[Any] | None = None

    def on_train_start(self, trainer: lightning.Trainer, _: Any) -> None:
        if trainer.is_global_zero:
            epochs, batches = trainer.max_epochs or 0, int(trainer.num_training_batches)
            self._bar = tqdm(
                desc="training",
                total=epochs * batches,
                initial=trainer.current_epoch * batches,
                unit=" batches",
                mininterval=WATCHED_S if sys.stderr.isatty() else LOGGED_S,
            )

    def on_train_batch_end(self, *_: Any) -> None:
        if self._bar is not None:
            self._bar.update()

    def on_validation_end(self, trainer: lightning.Trainer, _: Any) -> None:
        if self._bar is not None:
            value = float(trainer.callback_metrics[self._monitor])
            self._bar.set_postfix_str(f"validation {self._monitor} {value:.3f}", refresh=False)

    def on_train_end(self, *_: Any) -> None:
        if self._bar is not None:
            self._bar.close()

    def on_exception(self, *_: Any) -> None:
        self.on_train_end()
