"""Noise-aware learning of NORM-TR (3.5, 3.6): one training step over noisy copies of every sample."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

import lightning
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, Metric
from torchmetrics.classification import MulticlassAccuracy

from normtr.model import Features, NormTr
from training.parallel_cpu import sliced
from training.systems.losses import D1, D2, ModalityDiscriminator, NoiseDiscriminator
from training.windows import Batch, Windows, process

Regression = Literal["mse", "l1"]

EPOCHS, UPDATES = 20, 100
"""So many epochs, and more where these are fewer updates: a small set must be learned, too."""
HORIZON = 0.1
"""The average over the weights looks back over this share of all updates."""


@dataclass(frozen=True)
class UpdatePlan:
    """How long a network is trained, of which the decay of the average follows."""

    epochs: int
    updates: int
    ema: float


@dataclass(frozen=True)
class Learning:
    """How a network is trained; the defaults did best on validation data.

    The paper's settings are in configs/systems/norm_tr_paper.toml.
    """

    d1: D1 = "none"
    """Where the reversal stands in D1: after or before the extra MLPs; none: no such loss."""
    d2: D2 = "none"
    """slices: is this modality noisy? samples: which modality is (with a clean copy); none."""
    reversal: float = 1.0
    """Strength of the gradient reversal."""
    ramped: bool = False
    """Whether the strength grows from 0 (Ganin & Lempitsky, ICML 2015, eq. 14)."""
    regression: Regression = "l1"
    """Emotion loss where the label is a number."""
    lr: float = 5e-4
    weight_decay: float = 0.05
    epochs: int | None = None
    """None: EPOCHS, or as many more as UPDATES take."""
    batch: int = 16
    """Samples in a step, over all processes; each is seen in every noisy version."""
    ema: float | None = None
    """Decay of the weights' moving average, which is then what is kept; 0: none. None: so that it
    looks back over the HORIZON."""

    def __post_init__(self) -> None:
        """Raises ValueError where nothing can be learned so."""
        counts = [self.batch] if self.epochs is None else [self.batch, self.epochs]
        if min(counts) < 1 or self.lr <= 0 or self.weight_decay < 0:
            raise ValueError("epochs and batch are 1 or more, lr over 0, weight_decay not under 0")
        if self.ema is not None and not 0 <= self.ema < 1:
            raise ValueError(f"ema lies from 0 to under 1, not at {self.ema:g}")

    def plan(self, batches: int) -> UpdatePlan:
        """For an epoch of so many batches."""
        epochs = self.epochs or max(EPOCHS, -(-UPDATES // batches))
        updates = epochs * batches
        ema = max(0.0, 1 - 1 / (HORIZON * updates)) if self.ema is None else self.ema
        return UpdatePlan(epochs, updates, ema)


def standardise(network: nn.Module, windows: Windows, together: Collection[str] = ()) -> None:
    """Set the buffers mean_NAME and scale_NAME of a network from the valid rows of its training.

    The numbers of a row are scaled each by its deviation, or `together` by their common one,
    which keeps principal components as important as they were. A modality that was hardly ever
    there stays as it is.
    """
    for m in windows.rows:
        rows = windows.valid_rows(m)
        if len(rows) < 2:
            continue
        network.get_buffer(f"mean_{m}").copy_(rows.mean(0))
        scale = rows.std(0).clamp_min(1e-3)
        scale = scale.square().mean().sqrt() if m in together else scale
        network.get_buffer(f"scale_{m}").copy_(scale)


def dropout(seeds: Tensor, shape: tuple[int, ...], rate: float, device: torch.device) -> Tensor:
    """Factors 0, with probability `rate`, or 1 / (1 - rate), of a shape for each seed: float32.

    From 16 random bits each: `bernoulli_` draws 64 on a CPU, which takes six times as long.
    """
    count = math.prod(shape)
    numbers = torch.empty(len(seeds), -(-count // 4), dtype=torch.int64, device=device)
    generator = torch.Generator(device)
    for mine, seed in zip(numbers, seeds.tolist(), strict=True):
        mine.random_(-(2**63), None, generator=generator.manual_seed(seed))
    bits = numbers.view(torch.int16)[:, :count].reshape(len(seeds), *shape)
    # Floats: comparing integers takes ten times as long, which was a tenth of a training step.
    return bits.float().ge_(round(rate * 2**16) - 2**15).mul_(1 / (1 - rate))


class NoiseAware(lightning.LightningModule):
    """L = L_adv1 + L_adv2 + L_er on all noisy versions of every sample.

    Validation logs `accuracy`, or `mae` where the network has one output (regression).
    """

    def __init__(self, network: NormTr, learning: Learning, steps: int, seed: int) -> None:
        """`steps`: how many the whole run has; warm-up and cosine depend on it."""
        super().__init__()
        config = network.config
        self.seed, self.learning, self.steps = seed, learning, steps
        self.network = network
        half, modalities = config.width // 2, len(config.dims)
        self.d1 = ModalityDiscriminator(modalities, half, learning.d1)
        self.d2 = NoiseDiscriminator(modalities, half, learning.d2)
        self.classes = config.outputs > 1
        self.metric: Metric = (
            MulticlassAccuracy(config.outputs, average="micro")
            if self.classes
            else MeanAbsoluteError()
        )

    def on_train_batch_start(self, *_: Any) -> None:
        """Dropout depends on (seed, step, process): Lightning draws differently once resumed."""
        torch.manual_seed(self.seed * 1_000_003 + self.global_step + 500_000 * process()[0])

    def emotion_loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """outputs [B, C or 1]; labels int64 [B] (classes) or float32 [B] -> mean loss."""
        if self.classes:
            return F.cross_entropy(outputs, labels)
        loss = F.mse_loss if self.learning.regression == "mse" else F.l1_loss
        return loss(outputs[:, 0], labels)

    def training_step(self, batch: Batch, _: int) -> Tensor:
        clean, there, labels, masks, noisy = batch
        outputs, adv1, right1, adv2, right2 = self.over_versions(clean, there, masks, noisy)
        emotion = self.emotion_loss(outputs.flatten(0, 1), labels.repeat_interleave(len(masks)))
        self.log("emotion", emotion, prog_bar=True)
        self.log("d1_accuracy", right1.mean(), prog_bar=True)
        self.log("d2_accuracy", right2.mean(), prog_bar=True)
        loss: Tensor = emotion + adv1.mean() + adv2.mean()
        return loss

    def over_versions(
        self, rows: dict[str, Tensor], there: Tensor, masks: Tensor, noisy: Tensor
    ) -> tuple[Tensor, ...]:
        """Outputs [B, V, C or 1] of all noisy versions, with dropout; loss and accuracy of D1,
        then of D2, [B] each.

        On a CPU some samples at a time, over its cores.
        """
        config, v = self.network.config, len(masks)
        b, m, t = there.shape
        shape = (v, config.depth, 2, m * t, config.width // 2)
        strength = self.strength()

        def losses(
            there: Tensor, masks: Tensor, noisy: Tensor, seeds: Tensor, *rows: Tensor
        ) -> tuple[Tensor, ...]:
            kept = there[:, None] & masks  # [b, V, M, T]
            tokens = self.network.extract(dict(zip(config.dims, rows, strict=True)), there)
            tokens = tokens.under(kept)
            drop = dropout(seeds, shape, config.dropout, there.device).flatten(0, 1)
            out = self.network.fuse(tokens, kept.flatten(0, 1), drop)
            of = tokens.features()
            nrgf, mf = (x.view(-1, v, *x.shape[1:]) for x in (of.nrgf, of.mf))
            first = self.d1(Features(nrgf[:, 0], mf[:, 0]), strength)
            # Type-2, and then versions that nothing was erased of.
            erased = torch.stack([noisy, *[torch.zeros_like(noisy)] * (v - 2)], 1)
            second = self.d2(nrgf[:, 1:].flatten(0, 1), erased.flatten(0, 1), strength)
            return (
                out.view(-1, v, out.shape[1]),
                first.loss,
                first.accuracy,
                second.loss.view(len(noisy), -1).mean(1),
                second.accuracy.view(len(noisy), -1).mean(1),
            )

        inputs = (there, masks.transpose(0, 1), noisy, torch.randint(2**62, (b,)), *rows.values())
        return sliced(losses, list(self.parameters()), m * t, *inputs)

    def strength(self) -> float:
        """Of the reversal at this step."""
        if not self.learning.ramped:
            return self.learning.reversal
        done = self.global_step / max(1, self.steps)
        return self.learning.reversal * (2 / (1 + math.exp(-10 * done)) - 1)

    def validation_step(self, batch: list[Tensor], _: int) -> None:
        *rows, valid, labels = batch
        outputs = self.network(dict(zip(self.network.config.dims, rows, strict=True)), valid)
        self.metric.update(outputs if self.classes else outputs[:, 0], labels)

    def on_validation_epoch_end(self) -> None:
        self.log("accuracy" if self.classes else "mae", self.metric.compute(), prog_bar=True)
        self.metric.reset()

    def configure_optimizers(self) -> Any:
        """AdamW; warm-up over the first tenth of the steps, then cosine (4.2)."""
        optimizer = torch.optim.AdamW(
            self.parameters(),
            self.learning.lr,
            weight_decay=self.learning.weight_decay,
            fused=self.device.type == "cpu" or None,  # 0.4 ms a step; one by one takes 2.7
        )
        warm = max(1, self.steps // 10)

        def factor(step: int) -> float:
            if step < warm:
                return (step + 1) / warm
            return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, self.steps - warm)))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }
