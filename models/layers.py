"""The two building blocks of the article's networks, with its settings, and which of their variables are statistics."""

import warnings

from paddle import nn

from models.settings import BN_EPSILON, BN_MOMENTUM

# Paddle prints this warning for every batch norm in train mode; nothing needs to be done about it.
warnings.filterwarnings("ignore", message="When training, we now always track global mean and variance")


def same_conv(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Conv2D:
    """A convolution with bias and 'SAME' padding: [N,in,h,w] to [N,out,ceil(h/stride),ceil(w/stride)].

    If the padding is odd, the extra row and column go to the bottom and right (TensorFlow's and fluid's rule). Paddle
    draws the initial weights as fluid did: normal, standard deviation sqrt(2 / (kernel² · in)); biases are 0.
    """
    return nn.Conv2D(in_channels, out_channels, kernel, stride=stride, padding="SAME")


def batch_norm(channels: int) -> nn.BatchNorm2D:
    """Batch normalization of [N,channels,h,w] with the article's momentum 0.99 and epsilon 1e-3."""
    return nn.BatchNorm2D(channels, momentum=BN_MOMENTUM, epsilon=BN_EPSILON)


def is_statistic(name: str) -> bool:
    """Whether a network's variable of that name is a moving mean or variance; in Paddle those are parameters too."""
    return name.rpartition(".")[2] in ("_mean", "_variance")
