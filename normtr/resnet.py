"""The ResNet-18 that face and voice share (He et al., CVPR 2016), with a stem for small inputs."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut: [B, C_in, H, W] -> [B, C_out, H / stride, W / stride]."""

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
    """ResNet-18 whose stem halves the input once by a 3x3 convolution and once by pooling.

    The ImageNet stem (7x7) sees too little of a 48 px face. `width` is the number of
    channels of the first stage; a row has 8 * width numbers.
    """

    def __init__(self, channels: int, width: int, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, 3, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
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
        self.head = nn.Linear(before, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def row(self, x: Tensor) -> Tensor:
        """[B, channels, H, W] -> [B, 8 * width]: the last feature map, averaged over space."""
        row: Tensor = self.stages(self.stem(x)).mean(dim=(2, 3))
        return row

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, H, W] -> class logits [B, classes]."""
        logits: Tensor = self.head(self.row(x))
        return logits
