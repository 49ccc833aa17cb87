"""The ResNet-18 of the face rows (He et al., CVPR 2016), with a stem for small crops."""

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
    """ResNet-18 of grey crops whose stem halves the input once, by a 3x3 convolution.

    The ImageNet stem (7x7, then pooling) sees too little of a 48 px face: at half the width
    and twice the resolution the network costs as much and learns more. `width` is the number
    of channels of the first stage; a row has 8 * width numbers.
    """

    def __init__(self, width: int, classes: int) -> None:
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
        self.head = nn.Linear(before, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def row(self, x: Tensor) -> Tensor:
        """[B, 1, H, W] -> [B, 8 * width]: the last feature map, averaged over space.

        The mean over a crop and its mirror image: a face and its mirror image show the same.
        """
        both = self._pooled(torch.cat([x, x.flip(-1)]))
        row: Tensor = both.view(2, len(x), -1).mean(0)
        return row

    def forward(self, x: Tensor) -> Tensor:
        """[B, 1, H, W] -> class logits [B, classes], of the crop alone: what is trained."""
        logits: Tensor = self.head(self._pooled(x))
        return logits

    def _pooled(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.stages(self.stem(x)).mean(dim=(2, 3))
        return pooled
