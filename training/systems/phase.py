"""One phase of training as IF-MMIN and NMER do it: Adam, clipped module by module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import lightning
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchmetrics import MeanAbsoluteError, Metric
from torchmetrics.classification import MulticlassAccuracy

from training.samples import SampleBatches
from training.systems.fit import fit, weights_of
from training.windows import loader, process

Regression = Literal["mse", "l1"]
Teacher = TypeVar("Teacher", bound=nn.Module)


@dataclass(frozen=True)
class Phase:
    """How long and how fast a network is trained."""

    constant: int
    """The number of epochs with the full rate."""
    decay: int
    """The number of epochs after these, in which the rate falls in equal steps; it never reaches 0."""
    batch: int
    clip: float
    """The largest norm of the gradients of a module; every module is clipped alone."""
    dropout: float
    beta1: float
    """Adam's beta1; its beta2 is 0.999."""
    lr: float = 2e-4

    def __post_init__(self) -> None:
        """Raise ValueError where nothing can be learned so."""
        if self.epochs < 1 or min(self.constant, self.decay) < 0 or self.batch < 2:
            raise ValueError("epochs are 1 or more, batch is 2 or more")
        if min(self.lr, self.clip) <= 0 or not 0 <= self.beta1 < 1:
            raise ValueError("lr and clip lie over 0, beta1 from 0 to under 1")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout lies from 0 to under 1, not at {self.dropout:g}")

    @property
    def epochs(self) -> int:
        return self.constant + self.decay

    def factor(self, epoch: int) -> float:
        """Return the factor of the rate in an epoch, counted from 0."""
        return 1 - max(0, epoch + 1 - self.constant) / (self.decay + 1)


def parts(network: nn.Module) -> Iterator[nn.Module]:
    """Yield the modules whose gradients are clipped alone; each one of a dictionary counts."""
    for module in network.children():
        yield from module.values() if isinstance(module, nn.ModuleDict) else [module]


class PhaseModule(lightning.LightningModule):
    """Trains `network`; what is validated is the mean recall (`uar`), or `mae` in regression.

    A subclass has the training step.
    """

    def __init__(
        self, network: nn.Module, outputs: int, phase: Phase, regression: Regression, seed: int
    ) -> None:
        super().__init__()
        self.network, self.phase, self.seed = network, phase, seed
        self.classes, self.regression = outputs > 1, regression
        self.metric: Metric = (
            MulticlassAccuracy(outputs, average="macro") if self.classes else MeanAbsoluteError()
        )

    @property
    def monitor(self) -> str:
        return "uar" if self.classes else "mae"

    @property
    def mode(self) -> str:
        return "max" if self.classes else "min"

    def emotion_loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return the mean loss of outputs [B, C or 1] for labels int64 [B] (classes) or float32 [B]."""
        if self.classes:
            return F.cross_entropy(outputs, labels)
        loss = F.mse_loss if self.regression == "mse" else F.l1_loss
        return loss(outputs[:, 0], labels)

    def told(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Log losses, their means over the epoch; return their sum."""
        self.log_dict(dict(losses), prog_bar=True, on_step=False, on_epoch=True)
        return torch.stack(list(losses.values())).sum()

    def validation_step(self, batch: list[Tensor], _: int) -> None:
        """Score a batch of rows by modality, validity and labels; `network.config` has the `dims`."""
        *rows, valid, labels = batch
        config: Any = self.network.config
        self.update_metric(self.network(dict(zip(config.dims, rows, strict=True)), valid), labels)

    def update_metric(self, outputs: Tensor, labels: Tensor) -> None:
        """Add outputs of validation to the metric."""
        self.metric.update(outputs if self.classes else outputs[:, 0], labels)

    def on_train_batch_start(self, *_: Any) -> None:
        """Seed by (seed, step), because Lightning draws differently once it is resumed."""
        torch.manual_seed(self.seed * 1_000_003 + self.global_step + 500_000 * process()[0])

    def on_validation_epoch_end(self) -> None:
        self.log(self.monitor, self.metric.compute(), prog_bar=True)
        self.metric.reset()

    def configure_gradient_clipping(self, *_: Any, **__: Any) -> None:
        for module in parts(self.network):
            nn.utils.clip_grad_norm_(module.parameters(), self.phase.clip)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(
            [p for p in self.network.parameters() if p.requires_grad],
            self.phase.lr,
            betas=(self.phase.beta1, 0.999),
            fused=self.device.type == "cpu" or None,  # tensor by tensor takes several times as long
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self.phase.factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule}}


class TaughtModule(PhaseModule, Generic[Teacher]):
    """Learns also from what a frozen network says, which is in no checkpoint."""

    def __init__(
        self,
        network: nn.Module,
        teacher: Teacher,
        outputs: int,
        phase: Phase,
        regression: Regression,
        seed: int,
    ) -> None:
        super().__init__(network, outputs, phase, regression, seed)
        self._frozen = (teacher.requires_grad_(False).eval(),)  # torch does not look into a tuple

    @property
    def teacher(self) -> Teacher:
        return self._frozen[0]

    def on_fit_start(self) -> None:
        self.teacher.to(self.device)


def train_phase(
    module: PhaseModule,
    batches: SampleBatches,
    samples: int,
    validation: DataLoader[Any],
    out: Path,
    progress: bool,
) -> None:
    """Leave the weights of the best epoch in the module's network, resuming what is in `out`."""
    best = fit(
        module,
        loader(batches, samples, module.phase.batch, module.seed),
        validation,
        run=out,
        epochs=module.phase.epochs,
        monitor=module.monitor,
        mode=module.mode,
        seed=module.seed,
        progress=progress,
    )
    module.network.load_state_dict(weights_of(best, "network."))
