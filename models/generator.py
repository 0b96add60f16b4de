"""The article's generator (`SRGAN_g`), an SRResNet: enlarges a low-resolution picture to 4 times its sides."""

from __future__ import annotations

import math

import paddle
import paddle.nn.functional as F
from paddle import nn

from models.layers import batch_norm, same_conv
from models.settings import FEATURES, RESIDUAL_BLOCKS


class ResidualBlock(nn.Layer):
    """conv, BN, ReLU, conv, BN, plus the block's input; no activation after the sum. [N,f,h,w] to [N,f,h,w]."""

    def __init__(self, features: int):
        super().__init__()
        self.conv1 = same_conv(features, features, 3)
        self.bn1 = batch_norm(features)
        self.conv2 = same_conv(features, features, 3)
        self.bn2 = batch_norm(features)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return x + self.bn2(self.conv2(y))


class UpsampleBlock(nn.Layer):
    """conv to 4 times the channels, pixel shuffle by 2, ReLU. [N,f,h,w] to [N,f,2h,2w]."""

    def __init__(self, features: int):
        super().__init__()
        self.conv = same_conv(features, 4 * features, 3)
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return F.relu(self.shuffle(self.conv(x)))


class Generator(nn.Layer):
    """LR [N,3,h,w] in [-1,1] to SR [N,3,4h,4w] in [-1,1], for any h, w of 1 or more; 1,520,387 trainable weights.

    The last convolution is 1×1, as in the article (the paper's first and last are 9×9).

    features: channels between the layers. blocks: number of residual blocks. The article's values are 64 and 16. The
    attribute `sizes` holds both: the weights of `other` fit `Generator(*other.sizes)`.
    """

    def __init__(self, features: int = FEATURES, blocks: int = RESIDUAL_BLOCKS):
        super().__init__()
        self.sizes = features, blocks
        self.head_conv = same_conv(3, features, 3)
        self.head_bn = batch_norm(features)
        self.blocks = nn.Sequential(*[ResidualBlock(features) for _ in range(blocks)])
        self.tail_conv = same_conv(features, features, 3)
        self.tail_bn = batch_norm(features)
        self.upsample = nn.Sequential(UpsampleBlock(features), UpsampleBlock(features))
        self.out_conv = same_conv(features, 3, 1)

    def forward(self, lr: paddle.Tensor) -> paddle.Tensor:
        return self.upsampling(self.trunk(lr))

    def trunk(self, lr: paddle.Tensor) -> paddle.Tensor:
        """The layers at LR resolution: [N,3,h,w] to [N,f,h,w]."""
        head = F.relu(self.head_bn(self.head_conv(lr)))
        return head + self.tail_bn(self.tail_conv(self.blocks(head)))

    def upsampling(self, features: paddle.Tensor) -> paddle.Tensor:
        """The trunk's [N,f,h,w] to SR [N,3,4h,4w] in [-1,1]."""
        return F.tanh(self.out_conv(self.upsample(features)))


def initialize_icnr(generator: Generator) -> None:
    """Initialize the convolutions before the pixel shuffles with ICNR (arXiv 1707.02937, section 4).

    The 4 channels that a pixel shuffle interleaves start out equal: at first each block enlarges by repeating pixels,
    so there is no checkerboard to unlearn.
    """
    with paddle.no_grad():
        for block in generator.upsample:
            weight = block.conv.weight  # [256,64,3,3]; channels 4c to 4c + 3 become the 2×2 pixels of channel c
            block.conv.weight.set_value(paddle.repeat_interleave(weight[: weight.shape[0] // 4], 4, axis=0))


def initialize_small(generator: Generator) -> None:
    """Start with smaller convolution weights, and with residual blocks that are the identity.

    The normal weights that `same_conv` draws are scaled from variance 2 / fan-in to 1 / (3 · fan-in), the variance of
    PyTorch's uniform default. With the larger ones, the sum of 16 blocks drives the tanh into saturation, and Adam's
    steps rotate the weights before a batch norm less, where only their direction matters. The last batch norm of each
    block starts at 0 (Goyal and others, arXiv 1706.02677, section 5.1).
    """
    with paddle.no_grad():
        for layer in generator.sublayers():
            if isinstance(layer, nn.Conv2D):
                layer.weight.set_value(layer.weight / math.sqrt(6))
        for block in generator.blocks:
            block.bn2.weight.set_value(paddle.zeros_like(block.bn2.weight))
