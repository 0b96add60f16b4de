"""The generator as it is exported computes what the generator does."""

import numpy as np
import paddle
import pytest

from infer.engines.folded import FoldedGenerator
from models.generator import Generator
from tests.helpers import generators, golden


def lively() -> Generator:
    """Random weights, and batch norms as training may leave them: means far from 0, variances from below epsilon to
    100, scales of both signs."""
    paddle.seed(0)
    network = Generator()
    random = np.random.RandomState(0)
    state = generators.numbers(network)
    for name, array in state.items():
        if "bn" in name:
            draws = {
                "weight": random.normal(0.3, 0.3, array.shape),
                "bias": random.normal(0, 0.3, array.shape),
                "_mean": random.normal(0, 0.5, array.shape),
                # In the blocks, whose values add up, not so small that the result would outgrow rounding.
                "_variance": 10 ** random.uniform(*((-1, 2) if "blocks" in name else (-4, 1)), array.shape),
            }
            array[:] = draws[name.split(".")[-1]]
        elif name.endswith("bias"):
            array[:] = random.normal(0, 0.1, array.shape)
    network.eval()
    # The last convolution is scaled so that tanh is not saturated: values of 0.4 on the average.
    lr = paddle.to_tensor(random.uniform(-1, 1, (1, 3, 9, 9)).astype("float32"))
    for mean in (1e-15, 0.4):
        network.set_state_dict(state)
        with paddle.no_grad():
            found = np.abs(network(lr).numpy()).mean()
        for name in ("out_conv.weight", "out_conv.bias"):
            state[name] *= mean / found
    network.set_state_dict(state)
    return network


@pytest.fixture(scope="module")
def pair():
    network = lively()
    return network, FoldedGenerator(network)


@pytest.mark.parametrize("shape", [(2, 3, 9, 14), (1, 3, 1, 1), (3, 3, 2, 31)])
def test_it_computes_what_the_generator_computes(pair, shape):
    lr = paddle.to_tensor(np.random.RandomState(1).uniform(-1, 1, shape).astype("float32"))
    with paddle.no_grad():
        expected, found = (network(lr).numpy() for network in pair)
    assert np.abs(expected).mean() < 0.9, "tanh is not saturated"
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.slow
def test_it_equals_the_recording(recorded):
    network = FoldedGenerator(generators.recorded())
    with paddle.no_grad():
        sr = network(paddle.to_tensor(golden.nchw(golden.picture("lr", (2, 24, 32, 3))))).numpy()
    np.testing.assert_allclose(sr, recorded["g_eval"], rtol=0, atol=1e-5)


def test_it_equals_a_result_that_needs_no_network():
    steps = ((-1, -1), (1, 1), (0, -1))
    lr = np.random.RandomState(2).uniform(-1, 1, (40, 42, 3)).astype("float32")
    with paddle.no_grad():
        sr = FoldedGenerator(generators.shifting(steps))(paddle.to_tensor(golden.nchw(lr[None]))).numpy()
    np.testing.assert_allclose(sr[0].transpose(1, 2, 0), generators.moved(lr, steps), rtol=0, atol=1e-5)


def test_the_statistics_are_those_of_eval_mode_whatever_mode_the_generator_is_in():
    network = lively()
    network.train()
    before = generators.numbers(network)
    folded = FoldedGenerator(network)
    lr = paddle.to_tensor(np.random.RandomState(1).uniform(-1, 1, (1, 3, 8, 8)).astype("float32"))
    with paddle.no_grad():
        sr = folded(lr).numpy()
    for name, array in generators.numbers(network).items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
    assert network.training
    network.eval()
    with paddle.no_grad():
        np.testing.assert_allclose(sr, network(lr).numpy(), rtol=0, atol=1e-4)


def test_it_has_no_batch_norms_and_computes_3_channels_before_the_last_shuffle(pair):
    layers = pair[1].sublayers()
    assert not [layer for layer in layers if "Norm" in type(layer).__name__]
    shapes = [tuple(layer.weight.shape) for layer in layers if isinstance(layer, paddle.nn.Conv2D)]
    before_upsampling = [(64, 3, 3, 3), *[(64, 64, 3, 3)] * 33]
    assert shapes == [*before_upsampling, (256, 64, 3, 3), (256, 64, 3, 3), (12, 256, 1, 1)]
