"""Mixed precision of the training: on a GPU by stand-ins, float16's scaling on the CPU; what bfloat16 computes there is
in `tests/test_cpu.py`.
"""

import contextlib
import json
import math
import warnings

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from paddle import nn

from common.errors import InputError
from train.run import mixed_precision
from train.run.mixed_precision import FP32, Precision


@pytest.fixture
def gpu(monkeypatch):
    """A stand-in for a GPU; a list of what autocast is asked for."""
    calls = []

    def auto_cast(**settings):
        calls.append(settings)
        return contextlib.nullcontext()

    monkeypatch.setattr(paddle, "get_device", lambda: "gpu:0")
    monkeypatch.setattr(paddle.amp, "auto_cast", auto_cast)
    return calls


@pytest.fixture
def trained():
    """A network of one weight 1.0 that is multiplied with its input, and its optimizer with step 0.5."""
    network = nn.Linear(1, 1, weight_attr=nn.initializer.Constant(1.0), bias_attr=False)
    return network, paddle.optimizer.SGD(0.5, parameters=network.parameters())


def step(of: Precision, network, optimizer, x: float) -> tuple:
    """A training step on the loss weight · x: (the gradient after unscaling, the weight after the step)."""
    with of.autocast():
        loss = network(paddle.to_tensor([[x]])).sum()
    of.backward(loss)
    of.unscale(optimizer)
    gradient = network.weight.grad.item()
    of.step(optimizer)
    optimizer.clear_grad(set_to_zero=False)
    return gradient, network.weight.item()


def test_without_amp_all_is_float32_and_nothing_is_scaled(trained):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with FP32.autocast():
            assert F.conv2d(paddle.ones([1, 1, 1, 1]), paddle.ones([1, 1, 1, 1])).dtype == paddle.float32
        assert step(FP32, *trained, x=0.25) == (0.25, 0.875)
    assert FP32.state() == {}


@pytest.mark.parametrize("has_convolutions, flag", [(True, "avx512_bf16"), (True, ""), (False, "avx512_bf16")])
def test_on_a_cpu_bfloat16_is_not_scaled_and_needs_a_paddle_and_a_cpu_that_have_it(
    monkeypatch, trained, has_convolutions, flag
):
    monkeypatch.setattr(mixed_precision.programs, "HAS_BF16_CONVOLUTIONS", has_convolutions)
    monkeypatch.setattr(mixed_precision, "cpu_bf16", lambda: flag)
    if has_convolutions and flag:
        on_cpu = Precision(amp=True)
        assert on_cpu.dtype == "bfloat16" and on_cpu.state() == {}
        assert step(on_cpu, *trained, x=0.25) == (0.25, 0.875)
    else:
        message = "this CPU has neither amx_bf16" if has_convolutions else "has no mixed precision on a CPU"
        with pytest.raises(InputError, match=f"--amp: .*{message}.*leave it out"):
            Precision(amp=True)


def test_on_a_gpu_it_is_o1_in_float16(gpu):
    on_gpu = Precision(amp=True)
    assert on_gpu.dtype == "float16"
    with on_gpu.autocast():
        pass
    assert gpu == [{"level": "O1", "dtype": "float16"}]


def test_small_gradients_do_not_vanish_in_float16(gpu):
    """1e-8 is 0 in float16; on its way back to the weight the gradient here goes through it."""
    weight = paddle.to_tensor([2.0], stop_gradient=False)
    weight_optimizer = paddle.optimizer.SGD(1.0, parameters=[weight])
    on_gpu = Precision(amp=True)
    half = paddle.cast(weight, "float16")
    on_gpu.backward(paddle.cast(half, "float32").sum() * 1e-8)
    on_gpu.unscale(weight_optimizer)
    np.testing.assert_allclose(weight.grad.item(), 1e-8, rtol=1e-3)


def test_the_update_is_that_of_the_unscaled_gradient(gpu, trained):
    assert step(Precision(amp=True), *trained, x=0.25) == (0.25, 0.875)


@pytest.mark.parametrize("bad", [-math.inf, math.nan, 3e38])
def test_after_an_overflow_weights_stay_and_the_scale_is_halved(gpu, trained, bad):
    on_gpu = Precision(amp=True)
    assert step(on_gpu, *trained, x=bad) == (0.0, 1.0)
    assert on_gpu.state() == {"scale": 2.0**15, "steps": 0}
    assert step(on_gpu, *trained, x=0.25) == (0.25, 0.875)
    assert on_gpu.state() == {"scale": 2.0**15, "steps": 1}


def test_gradients_that_no_scale_helps_end_the_run(gpu, trained):
    on_gpu = Precision(amp=True)
    with pytest.raises(InputError, match="--amp: the gradients"):
        for _ in range(100):
            step(on_gpu, *trained, x=math.nan)
    assert trained[0].weight.item() == 1.0


def test_a_run_goes_on_from_its_state(gpu, trained):
    first = Precision(amp=True)
    for x in (0.0, math.inf, 0.0):
        step(first, *trained, x=x)
    second = Precision(amp=True)
    second.load_state(json.loads(json.dumps(first.state())))
    assert second.state() == first.state() == {"scale": 2.0**15, "steps": 1}
    second.load_state({})  # of a run in float32
    assert second.state() == first.state()
    FP32.load_state(first.state())
    assert step(FP32, *trained, x=0.25) == (0.25, 0.875)
