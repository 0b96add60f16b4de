"""The convolutions that oneDNN computes, against Paddle's own: another implementation of the same mathematics.

Run by `tests/test_cpu.py`, in a process of their own.
"""

import os
from pathlib import Path

import numpy as np
import paddle
import pytest
from paddle import nn

from common.device import cpu_bf16
from models.discriminator import Discriminator
from models.generator import Generator
from models.layers import same_conv
from models.vgg19 import VGG19
from models.weight_files import fluid
from models.weight_files.variables import select
from models.weight_files.vgg19_weights import FORMS, table
from tests.helpers import golden
from train import steps
from train.bn_statistics import freeze_statistics
from train.recipe import Recipe
from train.run import cpu, programs

BF16 = pytest.mark.skipif(
    not (programs.HAS_BF16_CONVOLUTIONS and cpu_bf16()), reason="this Paddle or this CPU multiplies no bf16 in training"
)
DTYPES = ["float32", pytest.param("bfloat16", marks=BF16)]
# What results, and the gradients of weights, may differ by, relative to the largest value. bfloat16 has 8 bits: both
# factors of a product, and the sums, are rounded by up to 1/256, and in sums most of it cancels out.
TOLERANCES = {"float32": (2e-5, 1e-4), "bfloat16": (2e-2, 2e-2)}


def pair(make, dtype="float32"):
    """Two networks of the same weights: Paddle's, and one whose convolutions are oneDNN's."""
    paddle.seed(0)
    plain, fast = make(), make()
    fast.set_state_dict(plain.state_dict())
    cpu.speed_up(fast, dtype=dtype)
    return plain, fast


def close(found, wanted, tolerance=2e-5):
    """To rounding: relative to the largest value, as sums of many products are."""
    found, wanted = found.numpy(), wanted.numpy()
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, atol=tolerance * np.abs(wanted).max())


# Those of G (first, inner, enlarging, last), of D (4×4, stride 2) and of VGG19 without bias.
CONVOLUTIONS = {
    "first": lambda: same_conv(3, 64, 3),
    "inner": lambda: same_conv(64, 64, 3),
    "to 256": lambda: same_conv(64, 256, 3),
    "last": lambda: same_conv(64, 3, 1),
    "halving": lambda: same_conv(16, 40, 4, stride=2),
    "without bias": lambda: nn.Conv2D(20, 24, 3, padding=1, bias_attr=False),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_results_and_gradients_are_those_of_paddles_own_convolutions(name, dtype):
    """Weights' gradients, too: oneDNN has an order of its own, which Paddle 2.6.2 would take for the usual."""
    plain, fast = pair(CONVOLUTIONS[name], dtype)
    tolerance, of_weights = TOLERANCES[dtype]
    for n, h, w in ((2, 12, 9), (1, 6, 8), (2, 12, 9)):
        x = paddle.randn([n, plain.weight.shape[1], h, w])
        inputs = [x.clone(), x.clone()]
        for network, own in zip((plain, fast), inputs):
            own.stop_gradient = False
            network.clear_gradients()
            (network(own) ** 2).mean().backward()
        close(fast(x), plain(x), tolerance)
        close(inputs[1].grad, inputs[0].grad, tolerance)
        for ours, theirs in zip(fast.parameters(), plain.parameters()):
            assert ours.grad.dtype == paddle.float32
            close(ours.grad, theirs.grad, of_weights)
    # Other algorithms round otherwise; bfloat16 by more than float32 could.
    difference = float((fast(x) - plain(x)).abs().max() / plain(x).abs().max())
    assert difference > (1e-4 if dtype == "bfloat16" and name != "last" else 0)  # the last is a product in float32


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("kernel", "stride", "channels"), [(4, 2, 1024), (3, 1, 1824)])
def test_a_convolution_of_many_weights_and_few_pixels_is_paddles_too(kernel, stride, channels, dtype):
    """As D's last ones: of odd, even and single pixels, and of too many to be a product of matrices."""
    plain, fast = pair(lambda: same_conv(channels, 64, kernel, stride=stride), dtype)
    tolerance, of_weights = TOLERANCES[dtype]
    paths = []
    for n, h, w in ((2, 3, 4), (1, 1, 1), (3, 2, 5), (2, 24, 32)):
        x = paddle.randn([n, channels, h, w])
        paths.append(fast.forward._product.is_faster(x))
        inputs = [x.clone(), x.clone()]
        for network, own in zip((plain, fast), inputs):
            own.stop_gradient = False
            network.clear_gradients()
            (network(own) ** 2).mean().backward()
        close(fast(x), plain(x), tolerance)
        close(inputs[1].grad, inputs[0].grad, tolerance)
        for ours, theirs in zip(fast.parameters(), plain.parameters()):
            close(ours.grad, theirs.grad, of_weights)
        if paths[-1]:  # G's step goes through D's frozen weights
            own = x.clone()
            own.stop_gradient = False
            with steps.frozen(fast):
                (fast(own) ** 2).mean().backward()
            close(own.grad, inputs[0].grad, tolerance)
            assert fast.weight.grad is not None, "of before"
    assert paths == [True, True, True, False]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layer, before_relu, count", [("conv2_1", True, 2), ("pool1", False, 1)])
def test_vgg19s_maps_are_those_of_paddles_own_convolutions(layer, before_relu, count, dtype):
    plain, fast = pair(lambda: VGG19(conv_bias=True, deepest="conv2_1"), dtype)
    for network in (plain, fast):
        network.eval()
        for weight in network.parameters():
            weight.stop_gradient = True
    tolerance, _ = TOLERANCES[dtype]
    for n in (2, 1):
        x = paddle.randn([n, 3, 16, 20])
        inputs, results = [x.clone(), x.clone()], []
        for network, own in zip((plain, fast), inputs):
            own.stop_gradient = False
            maps = network.features_of_blocks(own, layer, before_relu)
            sum((one**2).mean() for one in maps).backward()
            results.append(maps)
        assert len(results[0]) == len(results[1]) == count
        for ours, theirs in zip(results[1], results[0]):
            close(ours, theirs, tolerance)
        close(inputs[1].grad, inputs[0].grad, 3 * tolerance)  # through 3 convolutions
        with paddle.no_grad():
            without = fast.features_of_blocks(x, layer, before_relu)
        assert all(one.stop_gradient for one in without)
        close(without[-1], results[1][-1], 0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_a_frozen_network_does_to_its_input_and_no_gradient_of_its_own(dtype):
    plain, fast = pair(lambda: same_conv(8, 8, 3), dtype)
    x = paddle.randn([1, 8, 6, 6])
    gradients = []
    for network in (plain, fast):
        for frozen in (False, True):  # as D is trained, and then judges
            network.clear_gradients()
            for parameter in network.parameters():
                parameter.stop_gradient = frozen
            own = x.clone()
            own.stop_gradient = False
            (network(own) ** 2).mean().backward()
        assert all(parameter.grad is None or not parameter.grad.numpy().any() for parameter in network.parameters())
        gradients.append(own.grad)
    close(gradients[1], gradients[0], TOLERANCES[dtype][0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_two_results_before_one_backward_and_gradients_that_add_up(dtype):
    """D judges HR and SR, and their losses are one; with --grad-accumulate backward comes several times."""
    plain, fast = pair(CONVOLUTIONS["halving"], dtype)
    a, b = (paddle.randn([n, plain.weight.shape[1], 6, 6]) for n in (1, 2))
    for network in (plain, fast):
        ((network(a) ** 2).mean() + (network(b) ** 2).mean()).backward()
        (network(b) ** 3).mean().backward()
    for ours, theirs in zip(fast.parameters(), plain.parameters()):
        close(ours.grad, theirs.grad, TOLERANCES[dtype][1])


@pytest.mark.parametrize("dtype", DTYPES)
def test_new_weights_are_seen_with_and_without_gradients(dtype):
    plain, fast = pair(lambda: same_conv(3, 8, 3), dtype)
    tolerance, _ = TOLERANCES[dtype]
    x = paddle.randn([1, 3, 6, 6])
    for seed in range(3):
        with paddle.no_grad():
            close(fast(x), plain(x), tolerance)
        close(fast(x), plain(x), tolerance)
        paddle.seed(seed)
        new = paddle.randn(plain.weight.shape)
        for network in (plain, fast):
            network.weight.set_value(new)


def small_generator():
    return Generator(16, 3)


def gradients_of(network, lrs: list) -> list:
    """Of all weights, after one backward pass through the results of all `lrs`."""
    network.clear_gradients()
    sum((network(lr) ** 2).mean() for lr in lrs).backward()
    return [weight.grad for weight in network.parameters() if not weight.stop_gradient]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("frozen", [False, True])
def test_a_generators_results_gradients_and_statistics_are_paddles_own(dtype, frozen):
    """Its sequences are programs, for which Paddle's batch norm has to find its statistics where they are."""
    plain, fast = pair(small_generator, dtype)
    tolerance = {"float32": 1e-4, "bfloat16": 0.4}[dtype]  # of the length of each; bf16 moves ReLUs' signs, in 8 layers
    for network in (plain, fast):
        network(paddle.ones([2, 3, 8, 8]))
        if frozen:
            freeze_statistics(network)
    for lrs in ([paddle.rand([2, 3, 6, 5])], [paddle.rand([1, 3, 7, 9]), paddle.rand([3, 3, 4, 6])]):
        ours, theirs = (gradients_of(network, lrs) for network in (fast, plain))
        assert len(ours) == len(theirs) == len([p for p in plain.parameters() if not p.stop_gradient])
        # Batch norm leaves no gradient, only rounding errors, of the biases before it.
        noise = 1e-5 * max(float(gradient.abs().max()) for gradient in theirs)
        for found, wanted in zip(ours, theirs):
            error = float((found - wanted).square().sum().sqrt())
            assert error <= tolerance * float(wanted.square().sum().sqrt()) + noise * wanted.size**0.5
        for name, value in plain.state_dict().items():
            np.testing.assert_allclose(fast.state_dict()[name].numpy(), value.numpy(), rtol=1e-5, atol=tolerance / 10)
        with paddle.no_grad():
            close(fast(lrs[0]), plain(lrs[0]), tolerance)


def test_results_that_are_never_differentiated_leave_no_memory():
    """As in steps that train D alone, and when batch norm's statistics are estimated."""
    _, fast = pair(small_generator)
    lr = paddle.rand([1, 3, 64, 64])  # some 20 MB of results
    sizes = []
    for grads in (True, False):
        for number in range(40):
            with paddle.set_grad_enabled(grads):
                fast(lr)
            if number == 9:
                sizes.append(resident_bytes())
        sizes.append(resident_bytes())
    assert sizes[1] - sizes[0] < 100e6 and sizes[3] - sizes[2] < 100e6, sizes


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_generator_is_as_before_in_eval_mode_and_in_its_names(dtype):
    plain, fast = pair(Generator, dtype)
    assert list(fast.state_dict()) == list(plain.state_dict())
    for network in (plain, fast):
        network.eval()
    lr = paddle.randn([1, 3, 5, 7])
    with paddle.no_grad():
        np.testing.assert_array_equal(fast(lr).numpy(), plain(lr).numpy())


def test_a_frozen_generator_makes_the_same_pictures_fast_until_enough_is_kept(monkeypatch):
    plain, fast = paddle_and_frozen()
    calls = []
    real = programs.Programs.__call__
    monkeypatch.setattr(programs.Programs, "__call__", lambda self, x: (calls.append(self), real(self, x))[1])
    monkeypatch.setattr(cpu, "KEPT_BYTES", 60 * 70 * 13600)  # some 4,000 LR pixels
    counts = []
    with paddle.no_grad():
        for h, w in ((20, 30), (60, 70), (20, 30)):
            lr = paddle.randn([1, 3, h, w])
            calls.clear()
            close(fast(lr), plain(lr), 1e-4)
            counts.append(len(calls))
    # The last, 1×1, is a matrix product.
    convolutions = sum(type(layer) is nn.Conv2D for layer in plain.sublayers()) - 1
    assert counts[0] == counts[2] == convolutions
    assert counts[1] < convolutions


def paddle_and_frozen():
    paddle.seed(0)
    plain, fast = Generator(), Generator()
    for weight in plain.parameters():
        if weight.ndim == 4:
            weight.set_value(weight * 0.3)  # without batch norm's statistics the pictures would be black and white
    fast.set_state_dict(plain.state_dict())
    cpu.speed_up_frozen(fast)
    for network in (plain, fast):
        network.eval()
    return plain, fast


def test_a_number_of_threads_that_is_given_is_obeyed(monkeypatch):
    set_to = []
    monkeypatch.setattr(paddle.framework.core, "set_num_threads", set_to.append)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    cpu.use_all_cores()
    assert set_to == []
    for environment, processes in (("1", 1), ("1", 2)):
        monkeypatch.setenv("OMP_NUM_THREADS", environment)
        monkeypatch.setenv("PADDLE_TRAINERS_NUM", str(processes))
        cpu.use_all_cores()
    cores = len(os.sched_getaffinity(0))
    assert set_to == [cores, max(1, cores // 2)]


def test_three_gan_steps_follow_the_recorded_trajectory():
    """Losses within the tolerances of the recording's page, then the weights."""
    recorded = np.load(golden.RECORDINGS / "trajectory_seed0.npz")
    paddle.nn.initializer.set_global_initializer(paddle.nn.initializer.Constant(0.01))  # drawing takes seconds
    generator, discriminator, vgg19 = Generator(), Discriminator(), VGG19()
    paddle.nn.initializer.set_global_initializer(None)
    generator.set_state_dict(fluid.generator_state(golden.generator_variables()))
    discriminator.set_state_dict(fluid.discriminator_state(golden.discriminator_variables()))
    vgg19.set_state_dict(select(golden.vgg19_variables(), table(FORMS[0]), "VGG19"))
    cpu.speed_up(generator, discriminator, vgg19)
    step = steps.GanStep(generator, discriminator, vgg19, Recipe(learning_rate=1e-4))
    names = ("d_loss", "mse", "vgg", "adv", "g_loss")
    for k, tolerance in enumerate([[1e-4] * 5, [3e-2, 2e-3, 2e-3, 3e-2, 2e-3], [3e-2, 2e-3, 2e-3, 3e-2, 2e-3]]):
        lr = paddle.to_tensor(golden.nchw(golden.picture(f"lr{k}", (2, 96, 96, 3))))
        hr = paddle.to_tensor(golden.nchw(golden.picture(f"hr{k}", (2, 384, 384, 3))))
        losses = step(lr, hr)
        found = np.array([float(losses[name]) for name in names])
        assert (np.abs(found / recorded["losses"][k] - 1) < tolerance).all(), (k, found, recorded["losses"][k])
    g, d = generator.state_dict(), discriminator.state_dict()
    after = {
        "out.w_0": g["out_conv.weight"],
        "n64s1/c.w_0": g["head_conv.weight"],
        "n64s1/b2/15.w_3": g["tail_bn.weight"],
        "h0/c.w_0": d["convs.0.weight"],
        "h7/bn.w_0": d["bns.6.weight"],
        "ho/fc2.w_0": d["fc.weight"],
    }
    for name, value in after.items():
        # Three Adam steps of 1e-4 move a weight by 3e-4 at most, and by half of that here on average: a weight that
        # was never updated, or the wrong way, fails.
        assert np.abs(value.numpy() - recorded[f"w/{name}"]).mean() < 4e-5, name
        kind = "scale" if value.ndim == 1 else ""
        assert np.abs(value.numpy() - golden.weight(name, tuple(value.shape), kind)).mean() > 1e-4, name
