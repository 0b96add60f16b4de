"""The article's generator in PyTorch, as a PyTorch user would run it: the baseline for the engines.

It is written from the article's layers, not converted from the project's network, so its results check that network
too.
"""

import os

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

BN_EPSILON = 1e-3
STATISTICS = {"_mean": "running_mean", "_variance": "running_var"}  # Paddle's names and PyTorch's


def _conv(inputs: int, outputs: int, kernel: int = 3) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)


def _norm() -> nn.BatchNorm2d:
    return nn.BatchNorm2d(64, eps=BN_EPSILON)


class Block(nn.Module):
    """conv, BN, ReLU, conv, BN, plus the block's input. [N,64,h,w] to [N,64,h,w]."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1, self.conv2, self.bn2 = _conv(64, 64), _norm(), _conv(64, 64), _norm()

    def forward(self, x):
        return x + self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)), inplace=True)))


class Upsample(nn.Module):
    """conv to 256 channels, pixel shuffle by 2, ReLU. [N,64,h,w] to [N,64,2h,2w]."""

    def __init__(self):
        super().__init__()
        self.conv = _conv(64, 256)

    def forward(self, x):
        return F.relu(F.pixel_shuffle(self.conv(x), 2), inplace=True)


class TorchGenerator(nn.Module):
    """LR [N,3,h,w] in [-1,1] to SR [N,3,4h,4w] in [-1,1]; its parts are named as in `models/generator.py`."""

    def __init__(self):
        super().__init__()
        self.head_conv, self.head_bn = _conv(3, 64), _norm()
        self.blocks = nn.Sequential(*[Block() for _ in range(16)])
        self.tail_conv, self.tail_bn = _conv(64, 64), _norm()
        self.upsample = nn.Sequential(Upsample(), Upsample())
        self.out_conv = _conv(64, 3, kernel=1)

    def forward(self, lr):
        head = F.relu(self.head_bn(self.head_conv(lr)), inplace=True)
        body = self.tail_bn(self.tail_conv(self.blocks(head)))
        return torch.tanh(self.out_conv(self.upsample(head + body)))


def fuse(network: nn.Module) -> None:
    """Fold every batch norm into the convolution before it, with PyTorch's own function."""
    pairs = [(network, "head_conv", "head_bn"), (network, "tail_conv", "tail_bn")]
    pairs += [(block, f"conv{i}", f"bn{i}") for block in network.blocks for i in (1, 2)]
    for owner, conv, norm in pairs:
        setattr(owner, conv, fuse_conv_bn_eval(getattr(owner, conv), getattr(owner, norm)))
        setattr(owner, norm, nn.Identity())


def load(path, precision: str):
    """A function from LR float32 [N,3,h,w] to SR float32 [N,3,4h,4w]: channels-last, on all cores; fp32 or bf16.

    path: an .npz of the state dict of a `models.generator.Generator`, so that no Paddle is loaded here.
    """
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    network = TorchGenerator()
    with np.load(path) as state:
        network.load_state_dict({torch_name(name): torch.from_numpy(value) for name, value in state.items()})
    network.eval()
    fuse(network)
    network.to(dtype, memory_format=torch.channels_last)

    def compute(lr):
        with torch.inference_mode():
            given = torch.from_numpy(lr).to(dtype, memory_format=torch.channels_last)
            return network(given).float().numpy()

    return compute


def torch_name(name: str) -> str:
    """PyTorch's name for `name` in Paddle's state dicts."""
    owner, _, part = name.rpartition(".")
    return f"{owner}.{STATISTICS.get(part, part)}"
