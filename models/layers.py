"""The two layers that the article's networks are made of, with its settings."""

import warnings

from paddle import nn

# Both are what the article passes to fluid.layers.batch_norm. Paddle's momentum is the share that the old moving
# statistic keeps at each step (other frameworks name the share of the new one).
BN_MOMENTUM = 0.99
BN_EPSILON = 1e-3

# Paddle says this of every batch norm in train mode; there is nothing to do about it.
warnings.filterwarnings("ignore", message="When training, we now always track global mean and variance")


def same_conv(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Conv2D:
    """A convolution with bias and 'SAME' padding: [N,in,h,w] to [N,out,ceil(h/stride),ceil(w/stride)].

    Where the padding is odd, the extra row and column come after (TensorFlow's and fluid's rule). Paddle draws
    the initial weights as fluid did: normal, standard deviation sqrt(2 / (kernel² · in)); biases are 0.
    """
    return nn.Conv2D(in_channels, out_channels, kernel, stride=stride, padding="SAME")


def batch_norm(channels: int) -> nn.BatchNorm2D:
    """Batch normalization of [N,channels,h,w] with the article's momentum 0.99 and epsilon 1e-3."""
    return nn.BatchNorm2D(channels, momentum=BN_MOMENTUM, epsilon=BN_EPSILON)
