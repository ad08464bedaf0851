"""The models of the example `cifar10` in PyTorch. Needs torch alone."""

import torch
from torch import nn
from torch.nn import functional as F


class Cnn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1)
        self.conv2 = nn.Conv2d(64, 128, 3, padding=1)
        self.fc = nn.Linear(8192, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc(x.flatten(1))


class ConvNorm(nn.Module):
    """A 3 x 3 convolution, batch norm and ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.norm(self.conv(x)))


class Resnet9(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        w = width
        self.block1 = ConvNorm(3, w)
        self.block2 = ConvNorm(w, 2 * w)
        self.residual1 = nn.Sequential(ConvNorm(2 * w, 2 * w), ConvNorm(2 * w, 2 * w))
        self.block3 = ConvNorm(2 * w, 4 * w)
        self.block4 = ConvNorm(4 * w, 8 * w)
        self.residual2 = nn.Sequential(ConvNorm(8 * w, 8 * w), ConvNorm(8 * w, 8 * w))
        self.fc = nn.Linear(8 * w, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(self.block2(self.block1(x)), 2)
        x = x + self.residual1(x)
        x = F.max_pool2d(self.block3(x), 2)
        x = F.max_pool2d(self.block4(x), 2)
        x = x + self.residual2(x)
        return self.fc(x.amax((2, 3)))


def normalise(pixels: torch.Tensor) -> torch.Tensor:
    return (pixels.float() / 255 - 0.5) / 0.5
