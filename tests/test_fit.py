"""The training loop: what a stopped run goes on from, and what a finished one keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from training.systems.fit import fit


class Worse(lightning.LightningModule):
    """Its first epoch is its best one."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.trained: list[int] = []

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:
        self.trained.append(self.current_epoch)
        loss: Tensor = self.layer(batch[0]).square().mean()
        return loss

    def validation_step(self, batch: list[Tensor], _: int) -> None:
        self.log("good", -float(self.current_epoch), batch_size=len(batch[0]))

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_run_goes_on_after_its_last_epoch_not_its_best(tmp_path: Path, ema: float) -> None:
    data = DataLoader(TensorDataset(torch.ones(4, 1)), 4)

    def run(epochs: int) -> tuple[list[int], Path]:
        module = Worse()
        best = fit(
            module,
            data,
            data,
            run=tmp_path,
            epochs=epochs,
            monitor="good",
            mode="max",
            seed=1,
            ema=ema,
            progress=False,
        )
        return module.trained, best

    assert run(3)[0] == [0, 1, 2]
    trained, best = run(5)
    assert trained == [3, 4]
    assert run(5)[0] == []
    assert torch.load(best, weights_only=True)["epoch"] == 0
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["epoch"] == 4
    assert {path.name for path in tmp_path.glob("*.ckpt")} == {"best.ckpt", "last.ckpt"}
