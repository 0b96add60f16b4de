"""Makes training on a CPU several times as fast with Paddle's own settings; `benchmarks/train_step.py` measures it.

Paddle's eager convolutions unfold their input into a matrix and multiply on one core. The convolutions of oneDNN, which
Paddle includes, take a quarter of the time, but only static programs can use them: so each sequence of layers (the
generator's residual blocks, and its upsampling) and each other convolution becomes a static program.
"""

import ctypes
import os
import sys

import paddle
import paddle.nn.functional as F
from paddle import nn

from common.device import cores
from models.vgg19 import VGG19
from train.run import parallel
from train.run.products import Product, is_per_pixel, product_of_channels
from train.run.programs import HAS_ONEDNN_CONVOLUTIONS, Programs, own, plus

# glibc's malloc.h
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4

# The memory that oneDNN may keep for the picture sizes of the frozen generator: 75,000 LR pixels, twice Set5's.
KEPT_BYTES = 10**9


def speed_up(*networks, dtype: str = "float32") -> None:
    """Make this process, and the training of `networks` in it, as fast on a CPU as Paddle can.

    dtype: the data type that convolutions multiply; for `bfloat16` (if HAS_BF16_CONVOLUTIONS) float32 weights and
    inputs are rounded; results and gradients are float32 again.
    On a GPU, this function does nothing. Results are the same up to rounding, and reproducible on one machine; the
    weights, their names and the networks' inputs do not change. A trainable network in eval mode computes as before:
    its pictures may then have any size, and oneDNN would keep memory for each size.
    """
    if paddle.get_device() != "cpu":
        return
    use_all_cores()
    keep_freed_memory()
    # Otherwise several threads run a program's operators, and each keeps its own memory: twice as much in total.
    paddle.set_flags({"FLAGS_new_executor_serial_run": True})
    for network in networks:
        _with_onednn(network, dtype)


def speed_up_frozen(generator) -> None:
    """Freeze the generator that makes a run's pictures, and speed it up on a CPU, in eval mode too.

    oneDNN keeps memory for each picture size; sizes beyond KEPT_BYTES are computed as before. Make only one such
    generator per run: its memory is never released.
    """
    for parameter in generator.parameters():
        parameter.stop_gradient = True
    if paddle.get_device() == "cpu":
        _with_onednn(generator, "float32", _Kept())


def _with_onednn(network, dtype: str, kept=None) -> None:
    """kept: as in `_Convolution`. With it there is no program for a sequence, which would keep what gradients need."""
    for layer in network.sublayers(include_self=True) if HAS_ONEDNN_CONVOLUTIONS else ():
        if isinstance(layer.forward, (_Convolution, _PixelShuffle, _Sequence)):
            continue
        if type(layer) is nn.Conv2D:
            layer.forward = _Convolution(layer, dtype, kept)
        elif type(layer) is nn.PixelShuffle:
            layer.forward = _PixelShuffle(layer)
        elif type(layer) is nn.Sequential and kept is None:
            layer.forward = _Sequence(layer, dtype)
        elif isinstance(layer, VGG19):
            layer.features_of_blocks = _Features(layer, dtype)


def use_all_cores() -> None:
    """Let Paddle use all cores of this process, or its share of them if the run has several processes here.

    Paddle sets OMP_NUM_THREADS=1 by default; any other value in the environment is respected.
    """
    if os.environ.get("OMP_NUM_THREADS", "1") == "1":
        paddle.framework.core.set_num_threads(max(1, cores() // parallel.count()))


def keep_freed_memory() -> None:
    """Make glibc's malloc keep freed memory: the kernel clears every page that it hands out again."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform.startswith("linux") else None
    if mallopt:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)


class _Kept:
    """The memory that oneDNN keeps for the sizes that one network's convolutions have computed in eval mode."""

    def __init__(self):
        self._bytes = 0

    def has_room(self, pixels: int, channels: int) -> bool:
        """Whether a convolution may keep memory for a new size of `pixels`; channels: input and output channels."""
        size = 2 * pixels * channels  # half of both arrays: measured on the generator, 13 kB per LR pixel
        if self._bytes + size > KEPT_BYTES:
            return False
        self._bytes += size
        return True


class _Convolution:
    """The forward of a convolution, computed by oneDNN if it is trained or differentiated through.

    kept: a `_Kept` that counts the sizes in eval mode; None if a frozen convolution's inputs all have one size.
    """

    def __init__(self, conv: nn.Conv2D, dtype: str, kept=None):
        self._conv = conv
        self._dtype = dtype
        self._kept = kept
        self._has_room = {}
        self._eager = conv.forward
        self._programs = Programs(conv, dtype)
        self._product = Product(conv, dtype)

    def __call__(self, x):
        if not paddle.in_dynamic_mode():
            return self._in_program(x)
        frozen = self._conv.weight.stop_gradient
        evaluated = not self._conv.training and not (frozen and self._is_kept(x))
        if evaluated or x.dtype != paddle.float32:
            return self._eager(x)
        if is_per_pixel(self._conv):
            return product_of_channels(self._conv, x)
        if self._product.is_faster(x):
            return self._product(x)
        return self._programs(x)

    def _is_kept(self, x) -> bool:
        """Whether oneDNN may keep memory for the size of x."""
        if self._kept is None:
            return True
        n, _, h, w = size = tuple(x.shape)
        if size not in self._has_room:
            self._has_room[size] = self._kept.has_room(n * h * w, sum(self._conv.weight.shape[:2]))
        return self._has_room[size]

    def _in_program(self, x):
        """The operators of a program that is being created, in which oneDNN convolves."""
        conv, dtype = self._conv, self._dtype
        if dtype == "float32":
            weight = own(conv.weight)
        else:
            x, weight = x.astype(dtype), conv.weight.astype(dtype)
        y = F.conv2d(x, weight, None, conv._stride, conv._padding, conv._dilation, conv._groups)
        if dtype != "float32":
            y = y.astype("float32")
        return own(y) if conv.bias is None else plus(y, conv.bias)


class _PixelShuffle:
    """The forward of a pixel shuffle: in a program oneDNN transposes, on all cores."""

    def __init__(self, shuffle: nn.PixelShuffle):
        self._factor = shuffle._upscale_factor
        self._eager = shuffle.forward

    def __call__(self, x):
        if paddle.in_dynamic_mode():
            return self._eager(x)
        f, channels, (h, w) = self._factor, x.shape[1] // self._factor**2, paddle.shape(x)[2:]
        y = x.reshape([-1, channels, f, f, h, w]).transpose([0, 1, 4, 2, 5, 3])
        return y.reshape([-1, channels, f * h, f * w])


class _Sequence:
    """The forward of a sequence of layers: in train mode one program, without Paddle's overhead for each layer."""

    def __init__(self, layers: nn.Sequential, dtype: str):
        self._layers = layers
        self._eager = layers.forward
        self._programs = Programs(layers, dtype)

    def __call__(self, x):
        if self._layers.training and x.dtype == paddle.float32 and paddle.in_dynamic_mode():
            return self._programs(x)
        return self._eager(x)


class _Features:
    """VGG19's feature maps by one program for all layers, for inputs of one size."""

    def __init__(self, vgg19: VGG19, dtype: str):
        self._vgg19 = vgg19
        self._dtype = dtype
        self._eager = vgg19.features_of_blocks
        self._programs = {}

    def __call__(self, x, layer: str, before_relu: bool = False) -> list:
        if x.dtype != paddle.float32:
            return self._eager(x, layer, before_relu)
        key = layer, before_relu
        if key not in self._programs:
            self._programs[key] = Programs(self._vgg19, self._dtype, lambda x: self._eager(x, *key))
        return self._programs[key](x)
