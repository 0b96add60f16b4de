"""Generators whose results are known without running them, and the recordings' one with its random statistics."""

import numpy as np
import paddle

from infer import engines
from models.generator import Generator
from models.settings import BN_EPSILON, RESIDUAL_BLOCKS
from models.weight_files import fluid
from tests.helpers import golden

HERE = [name for name in engines.ENGINES if not engines.module(name).missing("cpu")]  # the fastest first
REACH = (
    36  # the article's: 1 (head) + 32 (blocks) + 1 (tail) + 1 (first upsampling) + 1/2, rounded up, at twice the side
)


def recorded(seed: int = 0) -> Generator:
    """The generator of the recordings, in eval mode; every batch norm has random statistics."""
    network = Generator()
    missing, unexpected = network.set_state_dict(fluid.generator_state(golden.generator_variables(seed)))
    assert not missing and not unexpected
    network.eval()
    return network


def numbers(network) -> dict:
    """{name: a copy of the array} of all weights and statistics."""
    return {name: value.numpy().copy() for name, value in network.state_dict().items()}


def with_zeros() -> tuple:
    """A generator and its state as arrays to be filled in: convolutions 0, batch norms that change nothing."""
    network = Generator()
    ends = {"weight": 1, "bias": 0, "_mean": 0, "_variance": 1 - BN_EPSILON}
    return network, {
        name: np.full_like(array, ends[name.split(".")[-1]] if "bn" in name else 0)
        for name, array in numbers(network).items()
    }


def shifting(steps: tuple, gain: float = 1.0) -> Generator:
    """One that moves each colour as far as its convolutions can; `moved` says what comes out.

    Every convolution has one weight of 1 for a colour, in or beside the middle of its kernel; a block hands the three
    colours from its three channels to the next block's, so that nothing takes the short way past it.
    steps: (y, x) of each colour, of -1, 0 and 1: (-1, 0) shows what is above.
    """
    network, state = with_zeros()

    def set_tap(conv, group_to, group_from, repeat=1):
        for colour, (y, x) in enumerate(steps):
            rows = slice((3 * group_to + colour) * repeat, (3 * group_to + colour + 1) * repeat)
            state[f"{conv}.weight"][rows, 3 * group_from + colour, 1 + y, 1 + x] = 1

    set_tap("head_conv", 0, 0)
    state["head_conv.bias"][:3] = 1  # -1..1 to 0..2, which the ReLUs leave alone
    for i in range(RESIDUAL_BLOCKS):
        set_tap(f"blocks.{i}.conv1", 0, i)
        set_tap(f"blocks.{i}.conv2", i + 1, 0)
    set_tap("tail_conv", RESIDUAL_BLOCKS + 1, RESIDUAL_BLOCKS)
    set_tap("upsample.0.conv", 0, RESIDUAL_BLOCKS + 1, repeat=4)
    set_tap("upsample.1.conv", 0, 0, repeat=4)
    state["out_conv.weight"][range(3), range(3), 0, 0] = gain
    state["out_conv.bias"][:] = -gain
    network.set_state_dict(state)
    network.eval()
    return network


def moved(lr: np.ndarray, steps: tuple, gain: float = 1.0) -> np.ndarray:
    """What `shifting(steps, gain)` makes of LR [h,w,3] in [-1,1]: SR [4h,4w,3], by indexing alone."""
    planes = []
    for plane, step in zip(np.moveaxis(lr, 2, 0), steps):
        kept, source = [], []
        for length, s in zip(plane.shape, step):
            before_head = (np.arange(4 * length) // 2 + s) // 2 + s * (1 + 1 + 2 * RESIDUAL_BLOCKS)
            kept.append((before_head >= 0) & (before_head < length))
            source.append(np.clip(before_head + s, -1, length) + 1)  # in the picture with a border of zeros
        signal = np.pad(plane, 1)[np.ix_(*source)] + 1
        planes.append(np.tanh(gain * (signal * np.logical_and.outer(*kept) - 1)))
    return np.stack(planes, 2)


def levels(values: np.ndarray, largest: int = 255) -> np.ndarray:
    """Values in [-1,1] as grey levels 0..largest, float64 and not rounded."""
    return (values.astype("float64") + 1) * largest / 2


def noise(height, width, planes=3, dtype="uint8", seed=0):
    return np.random.RandomState(seed).randint(0, np.iinfo(dtype).max + 1, (height, width, planes)).astype(dtype)


def directly(network, lr, largest=255):
    """Grey levels, not rounded, [4h,4w,3], of the network run as a whole by Paddle."""
    x = golden.nchw((lr.astype("float64")[None] * 2 / largest - 1).astype("float32"))
    with paddle.no_grad():
        return levels(network(paddle.to_tensor(x)).numpy()[0].transpose(1, 2, 0), largest)


def assert_levels(found, expected, within):
    """found: integers; expected: integers or numbers that are not rounded."""
    assert found.shape == expected.shape
    assert np.abs(found.astype("float64") - expected).max() <= within


ROUNDED = 0.5 + 0.01  # a level: of fp32 about 1e-6 of the range is rounding error
