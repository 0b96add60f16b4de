"""Makes training on a CPU several times as fast with Paddle's own settings; `benchmarks/train_step.py` measures it.

Paddle's eager convolutions unfold their input into a matrix and multiply on one core. The convolutions of oneDNN, which
Paddle includes, take a quarter of the time, but only static programs can use them: so each sequence of layers (the
generator's residual blocks, and its upsampling) and each other convolution becomes a static program.
"""

import ctypes
import functools
import math
import os
import sys
import warnings

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn
from paddle.autograd import PyLayer
from paddle.base.layer_helper import LayerHelper

from common.device import cores
from models.vgg19 import VGG19
from train.run import parallel

# glibc's malloc.h
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4

# Paddle 2 and 3 pass a program's convolutions to oneDNN in different ways. These versions are tested; with any other,
# the convolutions are not changed.
IS_PADDLE_2 = paddle.__version__.startswith("2.")
HAS_BF16_CONVOLUTIONS = paddle.__version__.startswith("3.3.")  # those of Paddle 2.6.2 refuse bf16
HAS_ONEDNN_CONVOLUTIONS = IS_PADDLE_2 or HAS_BF16_CONVOLUTIONS
# What oneDNN computes in a program; its other operators are slower than Paddle's own.
ONEDNN_OPERATORS = {"conv2d", "conv2d_grad"} | (
    {"transpose2", "transpose2_grad"}
    if IS_PADDLE_2
    else {"transpose", "transpose_grad", "cast", "matmul", "matmul_grad"}
)
# Paddle 2's flag, set only while a program is built: if it stays on, the gradient of tanh crashes other programs.
USE_ONEDNN = "FLAGS_use_mkldnn"
# The memory that oneDNN may keep for the picture sizes of the frozen generator: 75,000 LR pixels, twice Set5's.
KEPT_BYTES = 10**9
# A convolution with at least this many weights and at most this many output pixels is computed as a matrix product:
# its program copies and reorders the weights at every use, which takes longer than the product. D's last five have 2 to
# 34 million weights.
MANY_WEIGHTS, FEW_PIXELS = 2**20, {"float32": 64, "bfloat16": 256}


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
        self._programs = _Programs(conv, dtype)
        self._product = _Product(conv, dtype)

    def __call__(self, x):
        if not paddle.in_dynamic_mode():
            return self._in_program(x)
        frozen = self._conv.weight.stop_gradient
        evaluated = not self._conv.training and not (frozen and self._is_kept(x))
        if evaluated or x.dtype != paddle.float32:
            return self._eager(x)
        if _is_per_pixel(self._conv):
            return _product_of_channels(self._conv, x)
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
            weight = _own(conv.weight)
        else:
            x, weight = x.astype(dtype), conv.weight.astype(dtype)
        y = F.conv2d(x, weight, None, conv._stride, conv._padding, conv._dilation, conv._groups)
        if dtype != "float32":
            y = y.astype("float32")
        return _own(y) if conv.bias is None else _plus(y, conv.bias)


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
        self._programs = _Programs(layers, dtype)

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
            self._programs[key] = _Programs(self._vgg19, self._dtype, lambda x: self._eager(x, *key))
        return self._programs[key](x)


class _Product:
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
        return self._times(_with_gradient(rows), weight, transposed=True)

    def _times(self, rows, weight, transposed: bool):
        programs = self._programs.setdefault(transposed, {})
        return _run(programs, _Function(functools.partial(_times, transposed)), rows, [weight], self._dtype)


@paddle.jit.not_to_static
def _times(transposed: bool, rows, variables: list):
    """The product of float32 matrices in bf16, while a program is created."""
    product = paddle.matmul(_own(rows).astype("bfloat16"), variables[0].astype("bfloat16"), transpose_y=transposed)
    return _own(product.astype("float32"))


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


def _is_per_pixel(conv: nn.Conv2D) -> bool:
    """Whether the convolution is 1×1, which is faster as a matrix product: oneDNN would reorder its large input."""
    return list(conv.weight.shape[2:]) == [1, 1] == list(conv._stride) and conv._padding == "SAME"


def _product_of_channels(conv: nn.Conv2D, x):
    """The 1×1 convolution of x [N,C,h,w] as a matrix product for each picture."""
    n, channels, h, w = x.shape
    weight = conv.weight.reshape([-1, channels]).expand([n, -1, -1])  # broadcasting makes the gradients slower
    y = paddle.matmul(weight, x.reshape([n, channels, h * w]))
    return (y + conv.bias.reshape([-1, 1])).reshape([n, -1, h, w])


class _Programs:
    """A layer in train mode as static programs: functions of x [N,C,h,w], of any N, h and w, and the layer's variables.

    function: what is computed with the layer, if it isn't its forward.

    The variables, weights and statistics, are arguments: creating a program clears the gradients of the parameters that
    it contains. There is a program for each choice of trainable variables and of layers in train mode.
    """

    def __init__(self, layer: nn.Layer, dtype: str, function=None):
        self._function = function or layer
        self._dtype = dtype
        self._parts = layer.sublayers(include_self=True)
        self._places = [
            (part._parameters, name)
            for part in self._parts
            for name, value in part._parameters.items()
            if value is not None
        ]
        self._programs = {}

    def __call__(self, x):
        variables = [parameters[name] for parameters, name in self._places]
        modes = tuple(part.training for part in self._parts)
        programs = self._programs.setdefault(modes, {})
        return _run(programs, _Function(self._in_program), x, variables, self._dtype)

    @paddle.jit.not_to_static
    def _in_program(self, x, variables):
        """The layer's result for symbols in place of x and the variables, while a program is created."""
        real = [parameters[name] for parameters, name in self._places]
        try:
            self._set(variables)
            return self._function(_own(x))
        finally:
            self._set(real)

    def _set(self, variables) -> None:
        for (parameters, name), variable in zip(self._places, variables):
            parameters[name] = variable


def _run(programs: dict, function: nn.Layer, x, variables: list, dtype: str):
    """function(x, variables) by a program of `programs`: there is one for each choice of what is trainable."""
    if not paddle.is_grad_enabled():
        # A program built for inference would keep the weights of its first use.
        with paddle.enable_grad():
            results = _run(programs, function, _with_gradient(x.detach()), variables, dtype)
        return [result.detach() for result in results] if isinstance(results, list) else results.detach()
    key = tuple(value.stop_gradient for value in (x, *variables))
    if key not in programs:
        programs[key] = _made(function, x, variables, dtype)
    return programs[key]([x, variables])


def _with_gradient(x):
    """x, or if it has no gradient a copy that has one."""
    if x.stop_gradient:
        x = x.detach()
        x.stop_gradient = False
    return x


class _Function(nn.Layer):
    """A function of x and variables as a layer, of which Paddle can make a program."""

    def __init__(self, function):
        super().__init__()
        self._function = function

    def forward(self, x, variables):
        return self._function(x, variables)


def _own(x):
    """x copied by one of Paddle's own operators, so that x and its gradient have the usual memory layout.

    A program's results, and its gradients of inputs, must not come from a oneDNN operator: those have oneDNN's layout,
    which operators outside take for the usual one (Paddle 2) or crash on (Paddle 3).
    """
    return paddle.scale(x, 1.0) if IS_PADDLE_2 else paddle.assign(x)


def _plus(y, bias):
    """y [N,C,h,w] plus a bias [C] in a program, by one of Paddle's own operators.

    oneDNN would sum the gradient of the bias with its slow reference code, and `+` adds [1,C,1,1] slowly.
    """
    scale = paddle.ones(bias.shape)
    scale.stop_gradient = bias.stop_gradient  # the operator computes both gradients or none
    if not IS_PADDLE_2:
        return paddle._C_ops.affine_channel(y, scale, bias, "NCHW")
    helper = LayerHelper("affine_channel")
    result = helper.create_variable_for_type_inference(y.dtype)
    inputs = {"X": [y], "Scale": [scale], "Bias": [bias]}
    helper.append_op(type=helper.layer_type, inputs=inputs, outputs={"Out": [result]}, attrs={"data_layout": "NCHW"})
    return result


def _made(layer: nn.Layer, x, variables: list, dtype: str):
    """The program of layer(x, variables), with the gradients of those without `stop_gradient`.

    dtype: what its convolutions multiply.
    """
    spec = paddle.static.InputSpec
    specs = [
        spec([None, x.shape[1], *[None] * (len(x.shape) - 2)], "float32", "x", x.stop_gradient),
        [spec(value.shape, "float32", f"variable_{i}", value.stop_gradient) for i, value in enumerate(variables)],
    ]
    strategy = paddle.static.BuildStrategy()
    if IS_PADDLE_2:
        strategy.mkldnn_enabled_op_types = ONEDNN_OPERATORS
    layer = paddle.jit.to_static(layer, specs, strategy, full_graph=True)
    # Requesting a program builds it, together with its backward program.
    if IS_PADDLE_2:
        paddle.set_flags({USE_ONEDNN: True})
        try:
            program = layer.forward.get_concrete_program(*specs)[1]
            _ = program.forward_program
        finally:
            paddle.set_flags({USE_ONEDNN: False})
    else:
        _know_onednn()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # caused by the code of Paddle's layers
            program = layer.forward.get_concrete_program(*specs)[1]
            program.add_hooker(_ByOneDNN(dtype))
            _ = program.train_program
    return program


@functools.lru_cache(maxsize=None)
def _know_onednn() -> None:
    """Make Paddle 3 load oneDNN's operators, which it does when it first runs a program."""
    paddle.jit.to_static(_own, [paddle.static.InputSpec([1], "float32")], full_graph=True)(paddle.zeros([1]))


class _ByOneDNN:
    """The hooks that Paddle 3 calls while building a program: they replace some of its operators by oneDNN's.

    Paddle has a pass that replaces all that oneDNN has. It is run on a copy of the program, from which the wanted ones
    are taken.
    """

    def __init__(self, dtype: str):
        self._dtype = dtype

    def before_append_backward(self, program, results):
        return program, results

    def after_append_backward(self, program, inputs, results, gradients, forward_end, backward_start):
        replaced = program.clone()
        manager = paddle.pir.PassManager()
        manager.add_pass("onednn_placement_pass", {})
        manager.run(replaced)
        pairs = [list(filter(_is_onednns, each.global_block().ops)) for each in (program, replaced)]
        with paddle.static.program_guard(program):
            for old, new in zip(*pairs):
                self._replace(old, new)
                program.global_block().remove_op(old)
        return program, forward_end, results

    def _replace(self, old, new) -> None:
        """Use the results of a copy of the operator `new` of another program in place of those of `old`."""
        operands = paddle.pir.IrMapping()
        for theirs, ours in zip(new.operands_source(), old.operands_source()):
            operands.add(theirs, ours)
        paddle.pir.set_insertion_point(old)
        copy = new.clone(operands, paddle.pir.CloneOptions(False, True, True))
        if copy.name().startswith("onednn_op.conv2d"):
            copy.set_bool_attr("is_test", False)  # the pass sets it for inference
        if copy.name() == "onednn_op.conv2d":
            copy.set_str_attr("onednn_data_type", self._dtype)  # otherwise it multiplies float32
        for before, after in zip(old.results(), copy.results()):
            before.replace_all_uses_with(after)

    def after_infer(self, program):
        return program


def _is_onednns(operator) -> bool:
    """Whether oneDNN is to compute an operator: of the casts those to bf16 of maps and of a product's large weights.

    oneDNN fails to cast from its own memory layouts; Paddle casts other weights, and to float32, as fast.
    """
    name = operator.name().partition(".")[2]
    if name == "cast":
        result = operator.result(0)
        is_large = result.shape[0] == -1 or len(result.shape) == 2
        return is_large and result.dtype == paddle.pir.core.DataType.BFLOAT16
    return name in ONEDNN_OPERATORS
