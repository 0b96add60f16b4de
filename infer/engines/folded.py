"""The generator in its exported form: the same function with fewer and cheaper operations.

Two transformations, both exact up to rounding:
* In eval mode a batch norm multiplies by and adds constants, which are folded into the convolution before it.
* The last convolution is 1×1, and a pixel shuffle only moves values, so the two can be swapped: 256 channels become 12
  at twice the LR side, instead of being shuffled to 64 and convolved to 3 at four times the LR side.
"""

import numpy as np
import paddle.nn.functional as F
from paddle import nn

from models.layers import same_conv


class FoldedGenerator(nn.Layer):
    """The same function as `generator` in eval mode: LR [N,3,h,w] in [-1,1] to SR [N,3,4h,4w] in [-1,1].

    Its two parts, `trunk` and `upsampling`, are separate layers.
    """

    def __init__(self, generator):
        super().__init__()
        self.trunk, self.upsampling = FoldedTrunk(generator), FoldedUpsampling(generator)

    def forward(self, lr):
        return self.upsampling(self.trunk(lr))


class FoldedTrunk(nn.Layer):
    """The same function as `generator.trunk` in eval mode: LR [N,3,h,w] in [-1,1] to features [N,f,h,w]."""

    def __init__(self, generator):
        super().__init__()
        self.head = _with_batch_norm(generator.head_conv, generator.head_bn)
        self.blocks = nn.LayerList(
            [
                nn.LayerList([_with_batch_norm(block.conv1, block.bn1), _with_batch_norm(block.conv2, block.bn2)])
                for block in generator.blocks
            ]
        )
        self.tail = _with_batch_norm(generator.tail_conv, generator.tail_bn)

    def forward(self, lr):
        head = F.relu(self.head(lr))
        body = head
        for conv1, conv2 in self.blocks:
            body = body + conv2(F.relu(conv1(body)))
        return head + self.tail(body)


class FoldedUpsampling(nn.Layer):
    """The same function as `generator.upsampling`: features [N,f,h,w] to SR [N,3,4h,4w] in [-1,1]."""

    def __init__(self, generator):
        super().__init__()
        self.upsample1, self.upsample2 = (
            _convolution(block.conv.weight.numpy(), block.conv.bias.numpy()) for block in generator.upsample
        )
        self.out = _before_shuffle(generator.out_conv)

    def forward(self, features):
        twice = F.relu(F.pixel_shuffle(self.upsample1(features), 2))
        return F.tanh(F.pixel_shuffle(self.out(F.relu(self.upsample2(twice))), 2))


def _convolution(weight: np.ndarray, bias: np.ndarray) -> nn.Conv2D:
    outputs, inputs, kernel, _ = weight.shape
    layer = same_conv(inputs, outputs, kernel)
    layer.weight.set_value(weight.astype("float32"))
    layer.bias.set_value(bias.astype("float32"))
    return layer


def _with_batch_norm(conv: nn.Conv2D, bn: nn.BatchNorm2D) -> nn.Conv2D:
    """One convolution equivalent to `conv` and the batch norm after it in eval mode."""
    # In double precision, so that the only rounding is that of the folded weights.
    weight, bias = conv.weight.numpy().astype("float64"), conv.bias.numpy().astype("float64")
    mean, variance = bn._mean.numpy().astype("float64"), bn._variance.numpy().astype("float64")
    factor = bn.weight.numpy() / np.sqrt(variance + bn._epsilon)
    return _convolution(weight * factor[:, None, None, None], (bias - mean) * factor + bn.bias.numpy())


def _before_shuffle(conv: nn.Conv2D) -> nn.Conv2D:
    """The 1×1 convolution that, followed by a pixel shuffle by 2, equals that shuffle followed by `conv`."""
    outputs, inputs = conv.weight.shape[:2]
    weight = np.zeros((outputs, 4, inputs, 4), "float32")
    for position in range(4):  # pixel shuffle moves channel 4c + position to channel c
        weight[:, position, :, position] = conv.weight.numpy()[:, :, 0, 0]
    return _convolution(weight.reshape(4 * outputs, 4 * inputs, 1, 1), np.repeat(conv.bias.numpy(), 4))
