import numpy as np
import paddle
import pytest

from models.vgg19 import VGG19, convolutions_to
from tests.helpers import golden

CONVS = [f"conv{block}_{i}" for block, count in enumerate((2, 2, 4, 4, 4), 1) for i in range(1, count + 1)]
CONV_WEIGHTS = 20_018_880  # 9 * (3*64 + 64*64 + 64*128 + 128² + 128*256 + 3*256² + 256*512 + 7*512²)


@pytest.fixture(scope="module")
def network():
    """The recordings' VGG19."""
    network = VGG19()
    weights = golden.vgg19_variables()
    missing, unexpected = network.set_state_dict({f"{c}.weight": weights[f"vgg19_{c}_weights"] for c in CONVS})
    assert not missing and not unexpected
    network.eval()
    return network


def pictures(n, height, width):
    return paddle.to_tensor(golden.nchw(golden.picture("vgg", (n, height, width, 3))))


def weight_count(network):
    return sum(int(np.prod(p.shape)) for p in network.parameters())


@pytest.mark.slow
def test_conv5_equals_the_recording(network, recorded):
    with paddle.no_grad():
        conv5 = network.features(pictures(2, 224, 224), "pool5").numpy()
    assert conv5.shape == (2, 512, 7, 7)
    np.testing.assert_allclose(conv5, recorded["vgg_conv5"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("layer, last", [("conv1_1", 1), ("pool1", 2), ("conv2_2", 4), ("conv3_3", 7), ("pool5", 16)])
def test_computes_no_convolution_behind_the_layer(network, layer, last):
    computed = []
    hooks = [
        getattr(network, name).register_forward_post_hook(lambda *_, name=name: computed.append(name)) for name in CONVS
    ]
    with paddle.no_grad():
        network.features(pictures(1, 32, 32), layer)
    for hook in hooks:
        hook.remove()
    assert computed == CONVS[:last] == list(convolutions_to(layer))


@pytest.mark.parametrize("before_relu", [False, True])
@pytest.mark.parametrize(
    "layers", [("conv1_2",), ("pool1",), ("conv1_2", "conv2_2", "conv3_3"), ("conv1_2", "conv2_2", "pool3")]
)
def test_maps_of_blocks_are_those_of_the_last_convolutions_before_the_layer_and_its_own(network, layers, before_relu):
    x = pictures(1, 32, 64)
    with paddle.no_grad():
        found = network.features_of_blocks(x, layers[-1], before_relu)
        wanted = [network.features(x, layer, before_relu) for layer in layers]
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


@pytest.mark.parametrize("layer", ["conv1_3", "pool6", "fc6", ""])
def test_refuses_a_layer_it_does_not_have(network, layer):
    with pytest.raises(ValueError, match=f"no layer '{layer}'; it has conv1_1, .*conv5_4, .*pool5"):
        network.features(pictures(1, 32, 32), layer)


def test_it_has_only_the_convolutions(network):
    assert set(network.state_dict()) == {f"{name}.weight" for name in CONVS}
    assert weight_count(network) == CONV_WEIGHTS


@pytest.mark.slow
def test_with_conv_biases_it_equals_paddle_vision():
    paddle.seed(0)
    theirs = paddle.vision.models.vgg19(num_classes=0)
    random = np.random.RandomState(0)
    convs = [layer for layer in theirs.sublayers() if isinstance(layer, paddle.nn.Conv2D)]
    state = {}
    for name, conv in zip(CONVS, convs):
        conv.bias.set_value(random.standard_normal(conv.bias.shape[0]).astype("float32"))
        state.update({f"{name}.weight": conv.weight, f"{name}.bias": conv.bias})
    ours = VGG19(conv_bias=True)
    missing, unexpected = ours.set_state_dict(state)
    assert not missing and not unexpected and len(convs) == 16
    x = pictures(1, 32, 64)
    with paddle.no_grad():
        for layer, sublayers in (("conv2_2", 9), ("pool5", 37)):
            expected = theirs.features[:sublayers](x).numpy()
            found = ours.features(x, layer).numpy()
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * expected.max(), err_msg=layer)
