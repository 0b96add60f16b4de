import pickle

import numpy as np
import paddle
import pytest

from models.generator import Generator
from models.weight_files import vgg19_weights
from models.weight_files.vgg19_weights import load_vgg19
from models.weight_files.weights import save
from tests.helpers import errors, golden
from tests.helpers.fluid_files import write_folder

CONVS = [f"conv{block}_{i}" for block, count in enumerate((2, 2, 4, 4, 4), 1) for i in range(1, count + 1)]
VISION = [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]
FC_SHAPES = ((25088, 4096), (4096, 4096), (4096, 1000))


class Form:
    """How a public file names VGG19's variables, as the article's page lists it."""

    def __init__(self, title, convs, fcs, weight=".weight", bias=".bias", conv_bias=False):
        self.title, self.convs, self.fcs, self.weight, self.bias = title, convs, fcs, weight, bias
        self.conv_bias = conv_bias

    def variables(self):
        """The recordings' convolutions under this form's names; biases of 0 where it has biases."""
        drawn = golden.vgg19_variables()
        found = {name + self.weight: drawn[f"vgg19_{conv}_weights"] for conv, name in zip(CONVS, self.convs)}
        if self.conv_bias:
            found.update({name + self.bias: np.zeros(len(found[name + self.weight]), "float32") for name in self.convs})
        return found

    def classifier(self):
        shapes = {name + self.weight: shape for name, shape in zip(self.fcs, FC_SHAPES)}
        shapes.update({name + self.bias: shape[1:] for name, shape in zip(self.fcs, FC_SHAPES)})
        return {name: golden.constant(name, shape) for name, shape in shapes.items()}


FLUID = {"fcs": ["fc6", "fc7", "fc8"], "weight": "_weights", "bias": "_offset"}
FORMS = {
    "article": Form("the article's folder", [f"vgg19_{conv}" for conv in CONVS], **FLUID),
    "original": Form("Paddle's original archive", CONVS, **FLUID),
    "legendary": Form(
        "PaddleClas' legendary_models/VGG19_pretrained.pdparams",
        [f"conv_block_{conv[4]}.conv{conv[6]}" for conv in CONVS],
        ["fc1", "fc2", "fc3"],
    ),
    "early": Form(
        "PaddleClas' early dygraph/VGG19_pretrained.pdparams",
        [f"_conv_block_{conv[4]}._conv_{conv[6]}" for conv in CONVS],
        ["_fc1", "_fc2", "_out"],
    ),
    "vision": Form(
        "paddle.vision's vgg19.pdparams",
        [f"features.{n}" for n in VISION],
        ["classifier.0", "classifier.3", "classifier.6"],
        conv_bias=True,
    ),
}
every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def write(form, folder):
    """The form's file or folder, with what else such a file holds: a classifier, which is not asked for here."""
    variables = {**form.variables(), form.fcs[0] + form.weight: np.ones((2, 2), "float32")}
    if form.weight == "_weights":
        return write_folder(folder / "VGG19_pretrained", variables)
    path = folder / "VGG19_pretrained.pdparams"
    if form.title.startswith("PaddleClas' early"):
        names = {name: f"{name}.w_0" for name in variables}
        path.write_bytes(pickle.dumps({**variables, "StructuredToParameterName@@": names}, protocol=2))
    else:
        paddle.save({name: paddle.to_tensor(array) for name, array in variables.items()}, str(path))
    return path


@pytest.fixture
def big(tmp_path):
    """A folder for files of 80 MB, emptied afterwards: pytest keeps those of three runs."""
    yield tmp_path
    for path in tmp_path.rglob("*"):
        if path.is_file():
            path.unlink()


@pytest.fixture
def given(monkeypatch, tmp_path):
    """load_vgg19(given(variables)): as if a file held them; one number a variable keeps that free."""
    monkeypatch.setattr(golden, "weight", golden.constant)

    def path_to(variables, name="VGG19 weights"):
        monkeypatch.setattr(vgg19_weights, "read_pdparams", lambda path: variables)
        monkeypatch.setattr(vgg19_weights, "read_persistables", lambda path: variables)
        return tmp_path / name

    return path_to


def message(*arguments, **options) -> str:
    return errors.message(load_vgg19, *arguments, **options)


@pytest.mark.slow
@every_form
def test_each_form_gives_the_recorded_conv5(form, big, recorded, capsys):
    path = write(form, big)
    network = load_vgg19(path)
    assert capsys.readouterr().out.startswith(f"VGG19: {path} ({form.title}")
    assert not network.training and not any(layer.training for layer in network.sublayers())
    assert all(parameter.stop_gradient for parameter in network.parameters())
    assert len(network.parameters()) == (32 if form.conv_bias else 16)
    with paddle.no_grad():
        conv5 = network.features(paddle.to_tensor(golden.nchw(golden.picture("vgg", (2, 224, 224, 3))[:1])), "pool5")
    np.testing.assert_allclose(conv5.numpy(), recorded["vgg_conv5"][:1], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_paddle_visions_own_state_dict_with_its_biases(big):
    paddle.seed(0)
    theirs = paddle.vision.models.vgg19(num_classes=0)
    random = np.random.RandomState(0)
    for name, parameter in theirs.named_parameters():
        if name.endswith(".bias"):
            parameter.set_value(random.standard_normal(parameter.shape[0]).astype("float32"))
    paddle.save(theirs.state_dict(), str(big / "vgg19.pdparams"))
    ours = load_vgg19(str(big / "vgg19.pdparams"))
    picture = paddle.to_tensor(golden.nchw(golden.picture("vgg", (1, 32, 64, 3))))
    with paddle.no_grad():
        expected = theirs.features(picture).numpy()
        found = ours.features(picture, "pool5").numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * expected.max())


@every_form
def test_a_file_needs_the_layers_that_are_asked_for_and_no_deeper_one(form, given):
    variables = form.variables()
    names = list(variables)  # 16 weights, then the biases of a form that has some
    first = {name: variables[name] for start in range(0, len(names), 16) for name in names[start : start + 8]}
    network = load_vgg19(given(first), deepest="conv3_4")
    assert len(network.parameters()) == len(first)
    with paddle.no_grad():
        assert network.features(paddle.ones([1, 3, 16, 8]), "conv3_4").shape == [1, 256, 4, 2]
    assert f"{names[8]}: expected shape [512, 256, 3, 3], not found" in message(given(first), deepest="conv4_1")
    del first[names[7]]
    assert f"{names[7]}: expected shape [256, 256, 3, 3], not found" in message(given(first), deepest="pool3")


@pytest.mark.slow
@pytest.mark.parametrize("form", [FORMS["article"], FORMS["early"]], ids=["article", "early"])
def test_with_its_classifier(form, given):
    variables = {**form.variables(), **form.classifier()}
    network = load_vgg19(given(variables), with_classifier=True)
    for fc, name in zip(("fc6", "fc7", "fc8"), form.fcs):
        for part, ending in (("weight", form.weight), ("bias", form.bias)):
            assert getattr(getattr(network, fc), part).numpy().flat[0] == variables[name + ending].flat[0]
    missing = form.fcs[2] + form.bias
    del variables[missing]
    assert f"{missing}: expected shape [1000], not found" in message(given(variables), with_classifier=True)


@every_form
def test_names_a_missing_convolution(form, given):
    variables = form.variables()
    del variables[form.convs[8] + form.weight]
    path = given(variables)
    said = message(path)
    assert said.startswith(f"{path} ({form.title}")
    assert said.endswith(f"): {form.convs[8]}{form.weight}: expected shape [512, 256, 3, 3], not found")


@every_form
def test_names_a_convolution_too_many(form, given):
    extra = {
        "article": "vgg19_conv3_5_weights",
        "original": "conv3_5_weights",
        "legendary": "conv_block_3.conv5.weight",
        "early": "_conv_block_3._conv_5.weight",
        "vision": "features.36.weight",
    }
    name = extra[next(key for key in FORMS if FORMS[key] is form)]
    path = given({**form.variables(), name: np.ones((256, 256, 3, 3), "float32")})
    said = message(path)
    assert said.startswith(f"{path} ({form.title}") and "does not have" in said
    assert said.endswith(f": {name}")


@pytest.mark.parametrize("form", ["article", "early"])
def test_a_vgg16_is_refused(form, given):
    form = FORMS[form]
    lacking = [form.convs[CONVS.index(conv)] + form.weight for conv in ("conv3_4", "conv4_4", "conv5_4")]
    variables = {name: array for name, array in form.variables().items() if name not in lacking}
    said = message(given(variables))
    assert all(f"{name}: expected shape" in said for name in lacking)
    assert said.count("not found") == 3


def test_a_generator_is_refused(tmp_path):
    path = tmp_path / "g.pdparams"
    save(Generator(), path)
    said = message(path)
    assert said.startswith(f"{path}: no VGG19 weights in any known form; found ")
    assert "blocks.0.bn1._mean" in said


def test_unusable_paths_are_named(tmp_path):
    assert message(tmp_path / "none.pdparams") == f"{tmp_path / 'none.pdparams'}: no such file"
    assert message(tmp_path).startswith(f"{tmp_path}: empty")
    (tmp_path / "vgg19.tar.gz").write_bytes(b"\x1f\x8b\x08" + bytes(50))
    assert message(tmp_path / "vgg19.tar.gz").startswith(
        f"{tmp_path / 'vgg19.tar.gz'}: it is an archive packed with gzip: "
    )
