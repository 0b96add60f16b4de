import numpy as np
import paddle
import pytest

from models.discriminator import Discriminator
from models.layers import same_conv
from models.weight_files import fluid
from tests.helpers import golden

pytestmark = pytest.mark.usefixtures("constant_initial_weights")

STATISTICS = {  # the recordings' names: the port's
    "h7/bn.w_1": "bns.6._mean",
    "h7/bn.w_2": "bns.6._variance",
    "res/bn3.w_1": "res_bn._mean",
}
FC_INPUTS = {  # halved eight times, rounding up: 512 channels of side² each
    4: 512,  # 2 1 1 1 1 1 1 1
    96: 512,  # 48 24 12 6 3 2 1 1
    260: 2048,  # 130 65 33 17 9 5 3 2
    384: 2048,  # 192 96 48 24 12 6 3 2
    516: 4608,  # 258 129 65 33 17 9 5 3
}


@pytest.fixture(scope="module")
def passes():
    """The recordings' network: an eval pass, then one train pass, and the moving statistics after it."""
    network = Discriminator()
    missing, unexpected = network.set_state_dict(fluid.discriminator_state(golden.discriminator_variables()))
    assert not missing and not unexpected
    hr = paddle.to_tensor(golden.nchw(golden.picture("hr", (2, 384, 384, 3))))
    with paddle.no_grad():
        network.eval()
        results = {"logit_eval": network(hr).numpy()}
        network.train()
        results["logit_train"] = network(hr).numpy()
    state = network.state_dict()
    results.update({name: state[name].numpy().copy() for name in STATISTICS.values()})
    return results


@pytest.mark.slow
@pytest.mark.parametrize("output", ["logit_eval", "logit_train"])
def test_equals_the_recording(recorded, passes, output):
    assert passes[output].shape == (2, 1)
    np.testing.assert_allclose(passes[output], recorded[f"d_{output}"], rtol=1e-4)


def test_statistics_after_one_train_pass_equal_the_recording(recorded, passes):
    assert {name[len("d_stat/") :] for name in recorded if name.startswith("d_stat/")} == set(STATISTICS)
    for theirs, ours in STATISTICS.items():
        expected = recorded[f"d_stat/{theirs}"]
        np.testing.assert_allclose(passes[ours], expected, rtol=1e-4, atol=1e-5, err_msg=theirs)


@pytest.mark.parametrize("hr_size", FC_INPUTS)
def test_last_layer_has_an_input_for_every_value_of_the_last_maps(hr_size):
    with paddle.LazyGuard():  # shapes only
        network = Discriminator(hr_size)
    assert list(network.fc.weight.shape) == [FC_INPUTS[hr_size], 1]


@pytest.mark.parametrize("hr_size", [0, 6])
def test_refuses_a_size_that_no_lr_picture_has(hr_size):
    with pytest.raises(ValueError, match=f"hr_size is {hr_size};.*multiple of 4"):
        Discriminator(hr_size)


def convolve(picture, weight, bias, stride, rows, columns):
    """The convolution's definition; `rows` and `columns` are the zeros before and after."""
    x = np.pad(picture.astype("float64"), ((0, 0), (0, 0), rows, columns))
    k = weight.shape[2]
    height, width = (x.shape[2] - k) // stride + 1, (x.shape[3] - k) // stride + 1
    out = np.empty((x.shape[0], weight.shape[0], height, width))
    for i in range(height):
        for j in range(width):
            window = x[:, :, i * stride : i * stride + k, j * stride : j * stride + k]
            out[:, :, i, j] = np.tensordot(window, weight, axes=((1, 2, 3), (1, 2, 3))) + bias
    return out


@pytest.mark.parametrize(
    "kernel, stride, height, width, rows, columns",
    [
        (4, 2, 3, 3, (1, 2), (1, 2)),
        (4, 2, 3, 4, (1, 2), (1, 1)),
        (4, 2, 5, 1, (1, 2), (1, 2)),
        (4, 2, 2, 7, (1, 1), (1, 2)),
        (3, 1, 3, 4, (1, 1), (1, 1)),
        (1, 1, 3, 2, (0, 0), (0, 0)),
    ],
)
def test_same_padding_puts_the_odd_row_and_column_after(kernel, stride, height, width, rows, columns):
    conv = same_conv(2, 3, kernel, stride)
    random = np.random.RandomState(0)
    weight = random.standard_normal((3, 2, kernel, kernel)).astype("float32")
    bias = random.standard_normal(3).astype("float32")
    picture = random.standard_normal((2, 2, height, width)).astype("float32")
    conv.weight.set_value(weight)
    conv.bias.set_value(bias)
    expected = convolve(picture, weight, bias, stride, rows, columns)
    assert expected.shape[2:] == (-(-height // stride), -(-width // stride))
    with paddle.no_grad():
        np.testing.assert_allclose(conv(paddle.to_tensor(picture)).numpy(), expected, rtol=0, atol=1e-5)
