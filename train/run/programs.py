"""Layers as static programs, in which oneDNN convolves: only those can use it.

Paddle 2 and 3 pass a program's operators to oneDNN in different ways; docs/findings.md has the traps.
"""

import functools
import warnings

import paddle
from paddle import nn
from paddle.base.layer_helper import LayerHelper

# These versions are tested; with any other,
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


class Programs:
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
        return run(programs, Function(self._in_program), x, variables, self._dtype)

    @paddle.jit.not_to_static
    def _in_program(self, x, variables):
        """The layer's result for symbols in place of x and the variables, while a program is created."""
        real = [parameters[name] for parameters, name in self._places]
        try:
            self._set(variables)
            return self._function(own(x))
        finally:
            self._set(real)

    def _set(self, variables) -> None:
        for (parameters, name), variable in zip(self._places, variables):
            parameters[name] = variable


def run(programs: dict, function: nn.Layer, x, variables: list, dtype: str):
    """function(x, variables) by a program of `programs`: there is one for each choice of what is trainable."""
    if not paddle.is_grad_enabled():
        # A program built for inference would keep the weights of its first use.
        with paddle.enable_grad():
            results = run(programs, function, with_gradient(x.detach()), variables, dtype)
        return [result.detach() for result in results] if isinstance(results, list) else results.detach()
    key = tuple(value.stop_gradient for value in (x, *variables))
    if key not in programs:
        programs[key] = _create(function, x, variables, dtype)
    return programs[key]([x, variables])


def with_gradient(x):
    """x, or if it has no gradient a copy that has one."""
    if x.stop_gradient:
        x = x.detach()
        x.stop_gradient = False
    return x


class Function(nn.Layer):
    """A function of x and variables as a layer, of which Paddle can make a program."""

    def __init__(self, function):
        super().__init__()
        self._function = function

    def forward(self, x, variables):
        return self._function(x, variables)


def own(x):
    """x copied by one of Paddle's own operators, so that x and its gradient have the usual memory layout.

    A program's results, and its gradients of inputs, must not come from a oneDNN operator: those have oneDNN's layout,
    which operators outside take for the usual one (Paddle 2) or crash on (Paddle 3).
    """
    return paddle.scale(x, 1.0) if IS_PADDLE_2 else paddle.assign(x)


def plus(y, bias):
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


def _create(layer: nn.Layer, x, variables: list, dtype: str):
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
    paddle.jit.to_static(own, [paddle.static.InputSpec([1], "float32")], full_graph=True)(paddle.zeros([1]))


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
