"""`normtr bench model`: its figures, and the matrix products that they are compared with."""

from __future__ import annotations

import torch
from torch import nn

from normtr.model import NormTr
from normtr.norm_tr_config import NormTrConfig
from training.reports.model_speed import measure, products, random_windows
from training.windows import Windows

CONFIG = NormTrConfig({"face": 8, "text": 6}, 3, 4, width=16, depth=1, heads=2)


def whole(count: int) -> Windows:
    windows = random_windows(CONFIG, count, "cpu")
    return Windows(windows.rows, torch.ones_like(windows.valid), windows.labels)


class Layer(nn.Module):
    """One layer on the face."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 5)

    def forward(self, rows: dict[str, torch.Tensor], valid: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.layer(rows["face"])
        return out


def test_products_are_those_of_the_layers_for_every_window() -> None:
    assert products(Layer(), whole(3)) == 3 * 4 * 8 * 5
    one, two, three = (products(NormTr(CONFIG).eval(), whole(n)) for n in (1, 2, 3))
    assert three - two == two - one > 0
    # The projections of both modalities alone, [M T, dim] @ [dim, width / 2] or more, are in it.
    assert two - one > 4 * (8 + 6) * 8


def test_figures_are_also_told_against_the_products_of_the_moment() -> None:
    found = measure(steps=4, depth=1, width=32, device="cpu", repeats=4)
    for name in ("forward_to_gemm", "windows_to_gemm", "train_to_gemm"):
        # So small a network is mostly overhead; no product is faster than a large one by much.
        assert found[name] > 0.3
    assert found["windows_per_s"] > 0
    assert torch.get_num_threads() == found["threads"]
