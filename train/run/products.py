"""Convolutions of few pixels, and of 1×1, as matrix products."""

import functools
import math

import numpy as np
import paddle
from paddle import nn
from paddle.autograd import PyLayer

from train.run.programs import Function, own, run, with_gradient

# A convolution with at least this many weights and at most this many output pixels is computed as a matrix product:
# its program copies and reorders the weights at every use, which takes longer than the product. D's last five have 2 to
# 34 million weights.
MANY_WEIGHTS, FEW_PIXELS = 2**20, {"float32": 64, "bfloat16": 256}


class Product:
    """The forward of a convolution with 'SAME' padding as one matrix product: a row for each output pixel."""

    def __init__(self, conv: nn.Conv2D, dtype: str):
        self._conv = conv
        self._dtype = dtype
        self._programs = {}

    def is_faster(self, x) -> bool:
        """Whether the product is faster than a convolution of x [N,C,h,w]."""
        conv = self._conv
        if conv.weight.size < MANY_WEIGHTS or conv._padding != "SAME":
            return False
        sizes = [-(-side // stride) for side, stride in zip(x.shape[2:], conv._stride)]
        return x.shape[0] * math.prod(sizes) <= FEW_PIXELS[self._dtype]

    def __call__(self, x):
        (n, channels, *sides), (out, _, *kernel) = x.shape, self._conv.weight.shape
        ones, sizes = _unfolding(tuple(sides), tuple(kernel), tuple(self._conv._stride))
        seen = paddle.matmul(x.reshape([n, channels, -1]), paddle.to_tensor(ones))
        rows = seen.reshape([n, channels, math.prod(sizes), -1]).transpose([0, 2, 1, 3])
        rows = rows.reshape([n * math.prod(sizes), -1])
        y = self._multiply(rows, self._conv.weight.reshape([out, -1])) + self._conv.bias
        return y.reshape([n, *sizes, out]).transpose([0, 3, 1, 2])

    def _multiply(self, rows, weight):
        """rows [M,K] times the transpose of weight [out,K], by oneDNN in bf16 if that is the data type."""
        if self._dtype == "float32":
            return paddle.matmul(rows, weight, transpose_y=True)
        if weight.stop_gradient:
            return _TimesFrozen.apply(rows, weight, self._times)
        # oneDNN's gradient of a product crashes unless both factors have one.
        return self._times(with_gradient(rows), weight, transposed=True)

    def _times(self, rows, weight, transposed: bool):
        programs = self._programs.setdefault(transposed, {})
        return run(programs, Function(functools.partial(_times, transposed)), rows, [weight], self._dtype)


@paddle.jit.not_to_static
def _times(transposed: bool, rows, variables: list):
    """The product of float32 matrices in bf16, while a program is created."""
    product = paddle.matmul(own(rows).astype("bfloat16"), variables[0].astype("bfloat16"), transpose_y=transposed)
    return own(product.astype("float32"))


class _TimesFrozen(PyLayer):
    """rows [M,K] times the transpose of a weight [out,K] that has no gradient."""

    @staticmethod
    def forward(context, rows, weight, times):
        context.save_for_backward(weight)
        context.times = times
        return times(rows, weight, transposed=True)

    @staticmethod
    def backward(context, gradient):
        (weight,) = context.saved_tensor()
        with paddle.no_grad():
            return context.times(gradient, weight, transposed=False)


@functools.lru_cache(maxsize=None)
def _unfolding(sides: tuple, kernel: tuple, stride: tuple) -> tuple:
    """(float32 [h·w,pixels·taps] of zeros and ones, [rows, columns] of output pixels) of a convolution with 'SAME'.

    A map [h·w] times the matrix is what each tap of the kernel sees at each output pixel, 0 outside the map. Other ways
    to collect it, and their gradients, copy the map once for each tap.
    """
    sizes = [-(-side // step) for side, step in zip(sides, stride)]
    axes = []
    for side, size, step, length in zip(sides, sizes, stride, kernel):
        missing = max((size - 1) * step + length - side, 0)
        seen = step * np.arange(size)[:, None] + np.arange(length) - missing // 2  # [size,length]
        axes.append(np.arange(side)[:, None, None] == seen)
    ones = np.einsum("aik,bjl->abijkl", *axes).reshape(math.prod(sides), -1)
    return ones.astype(np.float32), sizes


def is_per_pixel(conv: nn.Conv2D) -> bool:
    """Whether the convolution is 1×1, which is faster as a matrix product: oneDNN would reorder its large input."""
    return list(conv.weight.shape[2:]) == [1, 1] == list(conv._stride) and conv._padding == "SAME"


def product_of_channels(conv: nn.Conv2D, x):
    """The 1×1 convolution of x [N,C,h,w] as a matrix product for each picture."""
    n, channels, h, w = x.shape
    weight = conv.weight.reshape([-1, channels]).expand([n, -1, -1])  # broadcasting makes the gradients slower
    y = paddle.matmul(weight, x.reshape([n, channels, h * w]))
    return (y + conv.bias.reshape([-1, 1])).reshape([n, -1, h, w])
