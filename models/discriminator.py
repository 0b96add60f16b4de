"""The article's discriminator (`SRGAN_d`): tells photographs from generated pictures."""

from __future__ import annotations

import paddle
import paddle.nn.functional as F
from paddle import nn

from models.layers import batch_norm, same_conv

CHANNELS = (64, 128, 256, 512, 1024, 2048, 1024, 512)  # h0 … h7, each halving the picture
LEAKY_SLOPE = 0.2


def final_side(hr_size: int, halvings: int = len(CHANNELS)) -> int:
    """The side of the last feature maps for pictures of `hr_size` pixels: halved each time, rounded up ('SAME')."""
    side = hr_size
    for _ in range(halvings):
        side = (side + 1) // 2
    return side


def _leaky(x: paddle.Tensor) -> paddle.Tensor:
    return F.leaky_relu(x, LEAKY_SLOPE)


class Discriminator(nn.Layer):
    """Pictures [N,3,hr_size,hr_size] in [-1,1] to logits [N,1]; the article's probability is their sigmoid.

    It has the layers that the article's result depends on. The article also computes two branches (`res/c`, `res/c2`)
    and a fully connected layer (`ho/fc`), then overwrites them unused.

    channels: the output channels of the convolutions, each of which halves the picture (default: the article's).
    Raises ValueError if `hr_size` is not a multiple of 4 or is less than 4.
    """

    def __init__(self, hr_size: int = 384, channels: tuple[int, ...] = CHANNELS):
        super().__init__()
        if hr_size < 4 or hr_size % 4:
            raise ValueError(f"hr_size is {hr_size}; it must be a multiple of 4 and at least 4")
        inputs, last = (3, *channels[:-1]), channels[-1]
        self.convs = nn.LayerList([same_conv(i, o, 4, stride=2) for i, o in zip(inputs, channels)])
        self.bns = nn.LayerList([batch_norm(o) for o in channels[1:]])  # h0 has none
        self.res_conv = same_conv(last, last, 3)
        self.res_bn = batch_norm(last)
        self.fc = nn.Linear(last * final_side(hr_size, len(channels)) ** 2, 1)

    def forward(self, picture: paddle.Tensor) -> paddle.Tensor:
        h = _leaky(self.convs[0](picture))
        for conv, bn in zip(self.convs[1:], self.bns):
            h = _leaky(bn(conv(h)))
        h = _leaky(h + _leaky(self.res_bn(self.res_conv(h))))
        return self.fc(h.flatten(1))
