import numpy as np
import paddle
import pytest

from common.scale import SCALE
from models.generator import Generator, initialize_icnr, initialize_small
from models.weight_files import fluid
from tests.helpers import golden

TRAINABLE = 1_520_387  # the article's count
STATISTICS = {  # the recordings' names: the port's
    "batch_norm_0.w_1": "head_bn._mean",
    "batch_norm_0.w_2": "head_bn._variance",
    "n64s1/b2/15.w_1": "blocks.15.bn2._mean",
    "n64s1/b2/15.w_4": "tail_bn._mean",
    "n64s1/b2/15.w_5": "tail_bn._variance",
}


@pytest.fixture(scope="module")
def generator():
    paddle.seed(0)
    network = Generator()
    network.eval()
    return network


@pytest.fixture
def recorded_generator():
    network = Generator()
    missing, unexpected = network.set_state_dict(fluid.generator_state(golden.generator_variables()))
    assert not missing and not unexpected
    return network


def lr_batch():
    return paddle.to_tensor(golden.nchw(golden.picture("lr", (2, 24, 32, 3))))


def arrays(network):
    return {name: value.numpy().copy() for name, value in network.state_dict().items()}


def convolutions(network):
    return [layer for layer in network.sublayers() if isinstance(layer, paddle.nn.Conv2D)]


def test_eval_mode_equals_the_recording_and_changes_nothing(recorded, recorded_generator):
    recorded_generator.eval()
    before = arrays(recorded_generator)
    with paddle.no_grad():
        sr = recorded_generator(lr_batch()).numpy()
    np.testing.assert_allclose(sr, recorded["g_eval"], rtol=0, atol=1e-5)
    after = arrays(recorded_generator)
    for name in before:
        np.testing.assert_array_equal(after[name], before[name], err_msg=name)


def test_train_mode_and_its_statistics_equal_the_recording(recorded, recorded_generator):
    recorded_generator.train()
    with paddle.no_grad():
        sr = recorded_generator(lr_batch()).numpy()
    np.testing.assert_allclose(sr, recorded["g_train"], rtol=0, atol=1e-5)
    assert {name[len("g_stat/") :] for name in recorded if name.startswith("g_stat/")} == set(STATISTICS)
    after = arrays(recorded_generator)
    for theirs, ours in STATISTICS.items():
        np.testing.assert_allclose(after[ours], recorded[f"g_stat/{theirs}"], rtol=0, atol=1e-6, err_msg=theirs)


def test_trainable_weights_are_as_many_as_the_articles(generator):
    counts = [int(np.prod(p.shape)) for p in generator.parameters() if not p.stop_gradient]
    assert sum(counts) == TRAINABLE


def test_the_moving_statistics_are_saved_but_not_trained(generator):
    saved = {name for name in generator.state_dict() if name.endswith(("._mean", "._variance"))}
    trained = {name for name, p in generator.named_parameters() if not p.stop_gradient}
    assert len(saved) == 2 * (1 + 2 * 16 + 1)
    assert not saved & trained


@pytest.mark.parametrize("height, width", [(1, 1), (1, 6), (3, 5), (8, 8)])
def test_any_size_becomes_four_times_as_large(generator, height, width):
    lr = paddle.to_tensor(golden.nchw(golden.picture("size", (2, height, width, 3))))
    with paddle.no_grad():
        sr = generator(lr).numpy()
    assert SCALE == 4
    assert sr.shape == (2, 3, 4 * height, 4 * width)
    assert np.isfinite(sr).all()


def test_initial_weights_are_fluids(generator):
    """Normal, standard deviation sqrt(2 / (k*k*in)), mean 0; biases 0: what fluid.layers.conv2d draws by default."""
    scaled = []
    for conv in convolutions(generator):
        weight = conv.weight.numpy()
        n = weight.size
        inputs, k = weight.shape[1], weight.shape[2]
        scaled.append(weight.ravel() / np.sqrt(2 / (k * k * inputs)))
        assert abs(scaled[-1].std() - 1) < 6 / np.sqrt(2 * n), conv  # six standard errors
        assert abs(scaled[-1].mean()) < 6 / np.sqrt(n), conv
        np.testing.assert_array_equal(conv.bias.numpy(), 0)
    assert len(scaled) == 1 + 2 * 16 + 1 + 2 + 1
    everything = np.concatenate(scaled)
    # The fourth moment is 3 for a normal distribution, 1.8 for a uniform one, less than 3 for a truncated one.
    assert abs((everything**4).mean() - 3) < 0.1


def test_with_icnr_the_first_picture_has_no_checkerboard():
    """The last block repeats pixels then: every 2×2 of them are equal."""
    paddle.seed(0)
    generator = Generator()
    generator.eval()
    lr = paddle.uniform([1, 3, 6, 5], min=-1.0, max=1.0)

    def differences() -> tuple:
        sr = generator(lr).numpy()
        return abs(sr[..., 0::2, :] - sr[..., 1::2, :]).max(), abs(sr[..., 0::2] - sr[..., 1::2]).max()

    assert min(differences()) > 0.1
    initialize_icnr(generator)
    assert max(differences()) < 1e-6


def test_the_small_start_has_pytorchs_variance_and_idle_blocks():
    """PyTorch draws a convolution's weights from ±1 / sqrt(fan-in), whose variance is 1 / (3 · fan-in)."""
    paddle.seed(0)
    generator = Generator()
    initialize_small(generator)
    for conv in convolutions(generator):
        weight = conv.weight.numpy()
        fan_in = weight[0].size
        assert np.var(weight) * 3 * fan_in == pytest.approx(1, abs=5 / np.sqrt(weight.size)), conv
    generator.train()
    lr = paddle.uniform([1, 64, 6, 5], min=-1.0, max=1.0)
    for block in generator.blocks:
        assert np.array_equal(block(lr).numpy(), lr.numpy())
