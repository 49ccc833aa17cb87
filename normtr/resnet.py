"""The ResNet-18s that make face rows (He et al., CVPR 2016), with a stem for small crops."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from normtr.spec import FaceSpec


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut.

    It maps [B, C_in, H, W] to [B, C_out, H / stride, W / stride].
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.shortcut = nn.Sequential()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False),
                nn.BatchNorm2d(channels_out),
            )

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet18(nn.Module):
    """Turns grey crops into the mean of the last feature map. The stem halves the input once.

    The ImageNet stem (7x7, then pooling) sees too little of a 48 px face: with a smaller width and
    twice the resolution the network costs as much and learns more. `width` is the number of
    channels of the first stage.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        stages: list[nn.Module] = []
        before = width
        for stage in range(4):
            after = width * 2**stage
            stages += [
                BasicBlock(before, after, 1 if stage == 0 else 2),
                BasicBlock(after, after, 1),
            ]
            before = after
        self.stages = nn.Sequential(*stages)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Return rows [B, 8 * width] of crops [B, 1, H, W]."""
        pooled: Tensor = self.stages(self.stem(x)).mean(dim=(2, 3))
        return pooled


class ResNetEnsemble(nn.Module):
    """Several ResNets look at the same crop; the row is their rows side by side.

    One linear head reads the whole row, so its logits are the mean of the members' logits.
    """

    def __init__(self, spec: FaceSpec, classes: int) -> None:
        super().__init__()
        self.mirrored = spec.mirrored
        self.members = nn.ModuleList(ResNet18(spec.width) for _ in range(spec.members))
        self.head = nn.Linear(spec.dim, classes)

    def row(self, x: Tensor) -> Tensor:
        """Return rows [B, dim] of crops [B, 1, H, W]."""
        if not self.mirrored:
            return self._rows(x)
        both = self._rows(torch.cat([x, x.flip(-1)]))
        row: Tensor = both.view(2, len(x), -1).mean(0)
        return row

    def forward(self, x: Tensor) -> Tensor:
        """Return class logits [B, classes] of crops [B, 1, H, W], without mirror images, for
        training."""
        logits: Tensor = self.head(self._rows(x))
        return logits

    def _rows(self, x: Tensor) -> Tensor:
        return torch.cat([member(x) for member in self.members], 1)
