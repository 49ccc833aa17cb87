"""NMER's two phases of training: the first on complete data, the second on noisy data."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from training.evaluation.missing_patterns import as_masks
from training.evaluation.noise_scheduler import Scheduler
from training.systems.discrepancy import mean_cmd
from training.systems.nmer_network import NmerNetwork, NmerPretrained, Rows, kl
from training.systems.phase import Phase, PhaseModule, Regression, TaughtModule
from training.windows import Batch


class NmerFirstPhase(PhaseModule):
    """Learns from complete data: L = L_er + L_cmd, with the CMD of the invariant features."""

    network: NmerPretrained

    def training_step(self, batch: Batch, _: int) -> Tensor:
        rows, valid, labels, _masks, _noisy = batch
        outputs, c = self.network(rows, valid)
        return self.told({"emotion": self.emotion_loss(outputs, labels), "cmd": mean_cmd(c)})

    def validation_step(self, batch: list[Tensor], _: int) -> None:
        *rows, valid, labels = batch
        x = dict(zip(self.network.config.dims, rows, strict=True))
        self.update_metric(self.network(x, valid)[0], labels)


@dataclass(frozen=True)
class Teaching:
    """How the second phase is taught."""

    teacher: NmerPretrained
    """Its features of clean complete data are the targets."""
    scheduler: Scheduler
    by_conditions: bool
    """Whether epochs are validated in the noisy conditions; otherwise on windows as they are."""


class NmerSecondPhase(TaughtModule[NmerPretrained]):
    """Learns from noisy data: L = L_er + L_inv + L_vae.

    The first phase's network, frozen, gives the targets.
    """

    network: NmerNetwork

    def __init__(
        self,
        network: NmerNetwork,
        teaching: Teaching,
        phase: Phase,
        regression: Regression,
        seed: int,
    ) -> None:
        super().__init__(network, teaching.teacher, network.config.outputs, phase, regression, seed)
        self.scheduler, self.by_conditions = teaching.scheduler, teaching.by_conditions

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Return the loss; all versions that the masks leave of a sample count alike."""
        rows, valid, labels, masks, _noisy = batch
        with torch.no_grad():
            s, c = self.teacher.views(self.teacher.scaled(rows, valid), valid)
        x = self.network.scaled(rows, valid)
        losses = [self.losses(*self.scheduler(x, valid, mask), s, c, labels) for mask in masks]
        return self.told({k: torch.stack([of[k] for of in losses]).mean() for k in losses[0]})

    def losses(
        self, x: Rows, valid: Tensor, s: Tensor, c: Tensor, labels: Tensor
    ) -> dict[str, Tensor]:
        """Return the losses on noisy scaled rows x [B, T, N_m].

        `s` [B, M W] and `c` [B, M, W] are the teacher's features of the clean rows.
        """
        joint = self.network.joint(x, valid)
        divergence = kl(joint.mean, joint.log_variance)
        self.log("kl_per_dimension", divergence.mean(), on_step=False, on_epoch=True)
        return {
            "emotion": self.emotion_loss(joint.outputs, labels),
            "invariant": F.mse_loss(joint.c, c),
            "reconstruction": F.mse_loss(joint.r, s),
            "kl": self.weighed(divergence, s.shape[1]),
        }

    def weighed(self, divergence: Tensor, width: int) -> Tensor:
        """Return the weighted KL loss (scalar) of a divergence [B, LATENT].

        `width` is that of what is reconstructed. In the ELBO of a Gaussian of unit variance, the KL
        divergence has the factor 2 / width beside a squared error that is a mean over the width.
        """
        if self.network.config.released:
            return divergence.sum()
        return divergence.sum(1).mean() * 2 / width

    def validation_step(self, batch: list[Tensor], number: int) -> None:
        *rows, valid, labels = batch
        x = self.network.scaled(dict(zip(self.network.config.dims, rows, strict=True)), valid)
        if not self.by_conditions:
            self.update_metric(self.network.joint(x, valid).outputs, labels)
            return
        released = self.network.config.released
        with torch.random.fork_rng(enabled=not released):
            if not released:
                torch.manual_seed(number)
            for there in as_masks(list(x)).to(valid.device):
                noisy = self.scheduler(x, valid, there[:, None].expand_as(valid))
                self.update_metric(self.network.joint(*noisy).outputs, labels)
