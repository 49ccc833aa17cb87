"""Trains a ResNet-18 as a classifier, so that its pooled features can be used as rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import lightning
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.classification import MulticlassAccuracy

from normtr.resnet import ResNetEnsemble


@dataclass(frozen=True)
class Coarse:
    """The first `epochs` of a training, which see pictures of `px` x `px`."""

    epochs: int
    px: int


AVERAGED = 1 / 15
"""The share of the steps over which weights are averaged."""


class Classifier(lightning.LightningModule):
    """Trains by Nesterov SGD with a one-cycle schedule and label smoothing.

    A moving average of the weights over the last AVERAGED of all steps is validated and kept.
    """

    def __init__(
        self,
        network: ResNetEnsemble,
        classes: int,
        lr: float,
        weight_decay: float,
        steps: int,
        coarse: Coarse,
    ) -> None:
        super().__init__()
        self.network = network
        averaging: Any = torch.optim.swa_utils
        self.average = averaging.AveragedModel(
            network,
            multi_avg_fn=averaging.get_ema_multi_avg_fn(1 - 1 / max(1.0, AVERAGED * steps)),
            use_buffers=True,
        )
        self.lr, self.weight_decay, self.steps, self.coarse = lr, weight_decay, steps, coarse
        self.accuracy = MulticlassAccuracy(classes, average="micro")
        self.uar = MulticlassAccuracy(classes, average="macro")

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:
        x, y = batch
        if self.current_epoch < self.coarse.epochs:
            x = F.interpolate(x, size=(self.coarse.px, self.coarse.px), mode="area")
        loss = F.cross_entropy(self.network(x).float(), y, label_smoothing=0.1)
        self.log("loss", loss, prog_bar=True)
        return loss

    def on_train_batch_end(self, *_: Any) -> None:
        self.average.update_parameters(self.network)

    def validation_step(self, batch: list[Tensor], _: int) -> None:
        x, y = batch
        logits = self.average(x).float()
        self.accuracy.update(logits, y)
        self.uar.update(logits, y)

    def on_validation_epoch_end(self) -> None:
        self.log("accuracy", self.accuracy.compute(), prog_bar=True)
        self.log("uar", self.uar.compute(), prog_bar=True)
        self.accuracy.reset()
        self.uar.reset()

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(
            self.network.parameters(),
            self.lr,
            momentum=0.9,
            weight_decay=self.weight_decay,
            nesterov=True,
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.lr, total_steps=self.steps, pct_start=0.15
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }
