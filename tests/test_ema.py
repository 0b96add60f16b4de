"""The moving average of G against its closed form."""

import numpy as np
import paddle
import pytest

from models.generator import Generator
from tests.helpers.generators import numbers
from train.ema import Ema

STATISTICS = ("._mean", "._variance")


@pytest.fixture(scope="module")
def generator():
    paddle.seed(0)
    return Generator(features=16, blocks=2)


def drawn(generator, seed):
    """Set every weight and statistic of `generator` to another array; these arrays."""
    rng = np.random.default_rng(seed)
    state = {name: rng.normal(size=value.shape).astype("float32") for name, value in generator.state_dict().items()}
    generator.set_state_dict(state)
    return state


def shares(decay, count):
    """What the weights of the start and of each update count for after `count` updates: the recursion, written out."""
    decays = [min(decay, (1 + n) / (10 + n)) for n in range(count)]
    return [np.prod(decays)] + [(1 - d) * np.prod(decays[n + 1 :]) for n, d in enumerate(decays)]


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.999])
def test_the_average_is_the_weighted_sum_of_all_weights_it_saw(generator, decay):
    states = [drawn(generator, 0)]
    ema = Ema(generator, decay)
    for seed in range(1, 6):
        states.append(drawn(generator, seed))
        ema.update(generator)
    weights = shares(decay, 5)
    assert sum(weights) == pytest.approx(1)
    for name, value in numbers(ema.generator).items():
        if not name.endswith(STATISTICS):
            expected = sum(w * state[name].astype("float64") for w, state in zip(weights, states))
            np.testing.assert_allclose(value, expected, atol=2e-6, err_msg=name)
            assert value.dtype == np.float32


def test_statistics_are_the_generators_own(generator):
    ema = Ema(generator, 0.9)
    for seed in range(2):
        state = drawn(generator, seed)
        ema.update(generator)
        found = {name: value for name, value in numbers(ema.generator).items() if name.endswith(STATISTICS)}
        assert len(found) == 2 * 6
        for name, value in found.items():
            np.testing.assert_array_equal(value, state[name])


def test_it_is_a_network_of_its_own_for_eval(generator):
    before = drawn(generator, 0)
    ema = Ema(generator, 0.9)
    drawn(generator, 1)
    for name, value in numbers(ema.generator).items():
        np.testing.assert_array_equal(value, before[name])
    after = numbers(generator)
    ema.update(generator)
    for name, value in numbers(generator).items():
        np.testing.assert_array_equal(value, after[name])
    assert generator.training and not ema.generator.training
    assert not generator.out_conv.weight.stop_gradient


def test_state_and_count_go_on_bit_for_bit(generator):
    drawn(generator, 0)
    straight, stopped = Ema(generator, 0.999), Ema(generator, 0.999)
    for seed in (1, 2):
        drawn(generator, seed)
        straight.update(generator)
        stopped.update(generator)
    resumed = Ema(Generator(*generator.sizes), 0.999)
    resumed.generator.set_state_dict(numbers(stopped.generator))
    resumed.updates = stopped.updates
    for seed in (3, 4):
        drawn(generator, seed)
        straight.update(generator)
        resumed.update(generator)
    for name, value in numbers(straight.generator).items():
        np.testing.assert_array_equal(numbers(resumed.generator)[name], value)
