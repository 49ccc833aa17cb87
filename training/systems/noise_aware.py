"""Noise-aware learning of NORM-TR (sections 3.5 and 3.6): training steps over noisy versions."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

import lightning
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector
from torchmetrics import MeanAbsoluteError, Metric
from torchmetrics.classification import MulticlassAccuracy

from normtr.model import Features, NormTr
from training.parallel_cpu import sliced
from training.systems.losses import D1, D2, ModalityDiscriminator, NoiseDiscriminator
from training.windows import Batch, Windows, process

Regression = Literal["mse", "l1"]

EPOCHS, UPDATES = 20, 100
"""A training has this many epochs, and more if it would have fewer updates, so that small data sets
are learned, too."""
HORIZON = 0.1
"""The moving average of the weights looks back over this share of all updates."""


@dataclass(frozen=True)
class UpdatePlan:
    """How long a network is trained, and the decay of its moving average."""

    epochs: int
    updates: int
    ema: float
    """The decay per update; 0 means that there is no average."""


@dataclass(frozen=True)
class Learning:
    """How a network is trained; the defaults did best on validation data.

    The paper's settings are in configs/systems/norm_tr_paper.toml.
    """

    d1: D1 = "none"
    """Where D1 reverses gradients: after or before the extra MLPs; none turns its loss off."""
    d2: D2 = "none"
    """What D2 tells: whether a modality is noisy (slices), or which one is (samples, with a clean
    copy of the batch); none turns its loss off."""
    reversal: float = 1.0
    """Strength of the gradient reversal."""
    ramped: bool = False
    """Whether the strength grows from 0 (Ganin & Lempitsky, ICML 2015, eq. 14)."""
    regression: Regression = "l1"
    """The emotion loss if labels are numbers."""
    lr: float = 5e-4
    weight_decay: float = 0.05
    epochs: int | None = None
    """Number of epochs; if not given, 20, or more if these had fewer than 100 updates."""
    batch: int = 16
    """Samples in a step, over all processes; each is seen in every noisy version."""
    ema: float | None = None
    """Decay of a moving average of the weights, which is then kept; 0 means none. If not given, the
    average looks back over a tenth of the updates."""

    stay: float = 0.0
    """How strongly the weights are drawn to those with which the training begins: half of this times
    the squared distance is added to the loss (L2-SP: Li et al., ICML 2018)."""

    def __post_init__(self) -> None:
        """Raise ValueError when nothing can be learned with these settings."""
        counts = [self.batch] if self.epochs is None else [self.batch, self.epochs]
        if min(counts) < 1 or self.lr <= 0 or self.weight_decay < 0:
            raise ValueError("epochs and batch are 1 or more, lr over 0, weight_decay not under 0")
        if self.stay < 0:
            raise ValueError("stay is not under 0")
        if self.ema is not None and not 0 <= self.ema < 1:
            raise ValueError(f"ema lies from 0 to under 1, not at {self.ema:g}")

    def plan(self, batches: int) -> UpdatePlan:
        """Return the plan for epochs of this many batches."""
        epochs = self.epochs or max(EPOCHS, -(-UPDATES // batches))
        updates = epochs * batches
        ema = max(0.0, 1 - 1 / (HORIZON * updates)) if self.ema is None else self.ema
        return UpdatePlan(epochs, updates, ema)


def standardise(network: nn.Module, windows: Windows, together: Collection[str] = ()) -> None:
    """Set the buffers mean_NAME and scale_NAME of a network from the valid rows of its training.

    Each number of a row is scaled by its own deviation. The rows of modalities in `together` are
    scaled by one common deviation, which keeps principal components as important as they were. A
    modality with fewer than two valid rows is not scaled.
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
    """Draw factors that are 0 with probability `rate`, and otherwise 1 / (1 - rate).

    They are float32 [seeds, *shape]; those of a seed depend on it alone. Each is drawn from 16
    random bits, because `bernoulli_` draws 64 on a CPU, which takes six times as long.
    """
    count = math.prod(shape)
    numbers = torch.empty(len(seeds), -(-count // 4), dtype=torch.int64, device=device)
    generator = torch.Generator(device)
    for mine, seed in zip(numbers, seeds.tolist(), strict=True):
        mine.random_(-(2**63), None, generator=generator.manual_seed(seed))
    bits = numbers.view(torch.int16)[:, :count].reshape(len(seeds), *shape)
    # Comparing integers takes ten times as long as floats, which was a tenth of a training step.
    return bits.float().ge_(round(rate * 2**16) - 2**15).mul_(1 / (1 - rate))


class NoiseAware(lightning.LightningModule):
    """Trains NORM-TR with L = L_adv1 + L_adv2 + L_er (eq. 9) on all noisy versions of every sample.

    Validation logs `accuracy`, or `mae` if the network has one output (regression).
    """

    def __init__(self, network: NormTr, learning: Learning, steps: int, seed: int) -> None:
        """`steps` is the number of updates of the whole run, for warm-up and cosine."""
        super().__init__()
        config = network.config
        self.seed, self.learning, self.steps = seed, learning, steps
        self.network = network
        half, modalities = config.width // 2, len(config.dims)
        self.d1 = ModalityDiscriminator(modalities, half, learning.d1)
        self.d2 = NoiseDiscriminator(modalities, half, learning.d2)
        begun = parameters_to_vector(network.parameters()).detach().clone()
        self.register_buffer("begun", begun, persistent=False)
        self.classes = config.outputs > 1
        self.metric: Metric = (
            MulticlassAccuracy(config.outputs, average="micro")
            if self.classes
            else MeanAbsoluteError()
        )

    def on_train_batch_start(self, *_: Any) -> None:
        """Seed dropout by (seed, step, process), so that a resumed run draws the same.

        Lightning alone would draw differently after it resumed.
        """
        torch.manual_seed(self.seed * 1_000_003 + self.global_step + 500_000 * process()[0])

    def emotion_loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Return the mean loss of outputs [B, C or 1] (eq. 8).

        `labels` are int64 [B] for classes, and otherwise float32 [B].
        """
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
        if self.learning.stay:
            now = parameters_to_vector(self.network.parameters())
            loss = loss + self.learning.stay / 2 * (now - self.get_buffer("begun")).square().sum()
        return loss

    def over_versions(
        self, rows: dict[str, Tensor], there: Tensor, masks: Tensor, noisy: Tensor
    ) -> tuple[Tensor, ...]:
        """Return outputs [B, V, C or 1] of all V noisy versions, with dropout.

        Also return loss and accuracy of D1, and then those of D2, [B] each. `rows` are [B, T, N_m]
        by modality, `there` is bool [B, M, T] (which steps are valid), `masks` bool [V, B, M, T],
        and `noisy` bool [B, M] (in which modality the second version has erased steps). On a CPU
        slices of the batch are spread over the cores.
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
            # Of the versions after the first, one has Type-2 noise, and the others have none.
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
        """Return the strength of the gradient reversal at this step."""
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
        """Return AdamW with warm-up over the first tenth of the steps, then cosine (4.2)."""
        optimizer = torch.optim.AdamW(
            self.parameters(),
            self.learning.lr,
            weight_decay=self.learning.weight_decay,
            fused=self.device.type == "cpu" or None,  # takes 0.4 ms a step, not 2.7
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
