"""The losses of IF-MMIN's two phases.

Shapes are named by letters: B batch, M modalities, T steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from training.systems.discrepancy import mean_cmd
from training.systems.if_mmin_network import IfMminPretrained, Imagining
from training.systems.phase import Phase, PhaseModule, Regression, TaughtModule
from training.windows import Batch


@dataclass(frozen=True)
class Weights:
    """The weights of the losses beside the emotion loss; 0 turns one off."""

    discrepancy: float = 1.0
    """Weight of the CMD of the invariant features, in the first phase."""
    imagination: float = 1.0
    """Weight of the imagined features' error, in the second phase."""
    invariance: float = 100.0
    """Weight of the invariant features' error, in the second phase."""

    def __post_init__(self) -> None:
        """Raise ValueError when a weight is negative."""
        if min(self.discrepancy, self.imagination, self.invariance) < 0:
            raise ValueError("weights of losses are 0 or more")


class IfMminFirstPhase(PhaseModule):
    """Learns invariant features of complete data: L = L_er + L_cmd."""

    network: IfMminPretrained

    def __init__(
        self,
        network: IfMminPretrained,
        weights: Weights,
        phase: Phase,
        regression: Regression,
        seed: int,
    ) -> None:
        super().__init__(network, network.config.outputs, phase, regression, seed)
        self.weights = weights

    def losses(self, rows: dict[str, Tensor], valid: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return the weighted losses.

        `rows` are [B, T, N_m] by modality, `valid` is bool [B, M, T], and `labels` are [B].
        """
        embedded = self.network.embedded(rows, valid)
        return {
            "emotion": self.emotion_loss(self.network.judged(embedded), labels),
            "discrepancy": self.weights.discrepancy * mean_cmd(embedded.invariant),
        }

    def training_step(self, batch: Batch, _: int) -> Tensor:
        rows, valid, labels, _masks, _noisy = batch
        return self.told(self.losses(rows, valid, labels))


class IfMminSecondPhase(TaughtModule[IfMminPretrained]):
    """Learns to imagine what is missing: L = L_er + L_img + L_inv.

    The teacher is the first phase's network, frozen. The student shall imagine the teacher's
    specific features of the complementary input, in which what the student gets is replaced by
    zeros; and its invariant features shall be those that the teacher finds in the complete input.
    """

    network: Imagining

    def __init__(
        self,
        network: Imagining,
        teacher: IfMminPretrained,
        weights: Weights,
        phase: Phase,
        regression: Regression,
        seed: int,
    ) -> None:
        super().__init__(network, teacher, network.config.outputs, phase, regression, seed)
        self.weights = weights

    def losses(
        self, rows: dict[str, Tensor], valid: Tensor, mask: Tensor, labels: Tensor
    ) -> dict[str, Tensor]:
        """Return the weighted losses; the shapes are those of `IfMminFirstPhase.losses`.

        `mask`, bool [B, M, T], says which of the valid steps the student gets.
        """
        with torch.no_grad():
            whole = self.teacher.embedded(rows, valid)
            hidden = self.teacher.embedded(rows, valid & ~mask)
        embedded = self.network.embedded(rows, valid & mask)
        outputs, imagined = self.network.imagined(embedded)
        img = F.mse_loss(imagined, hidden.specific.flatten(1))
        inv = F.mse_loss(embedded.invariant, whole.invariant)
        return {
            "emotion": self.emotion_loss(outputs, labels),
            "imagination": self.weights.imagination * img,
            "invariance": self.weights.invariance * inv,
        }

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Return the loss; every version that the masks leave of a sample counts as a sample."""
        rows, valid, labels, masks, _noisy = batch
        versions = len(masks)
        every: dict[str, Any] = {m: x.repeat(versions, 1, 1) for m, x in rows.items()}
        return self.told(
            self.losses(
                every,
                valid.repeat(versions, 1, 1),
                masks.flatten(0, 1),
                labels.repeat(versions),
            )
        )
