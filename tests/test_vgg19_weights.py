import pickle

import numpy as np
import pytest

from models.vgg19 import VGG19
from models.weight_files import vgg19_weights
from models.weight_files.vgg19_weights import load_vgg19
from tests.helpers import errors, golden
from tests.helpers.fluid_files import write_folder

CONVS = [f"conv{block}_{i}" for block, count in enumerate((2, 2, 4, 4, 4), 1) for i in range(1, count + 1)]
VISION = [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]
# {form: (its title, its names of CONVS' weights)}, as the article's page lists them.
FORMS = {
    "article": ("the article's folder", [f"vgg19_{conv}_weights" for conv in CONVS]),
    "original": ("Paddle's original archive", [f"{conv}_weights" for conv in CONVS]),
    "legendary": (
        "PaddleClas' legendary_models/VGG19_pretrained.pdparams",
        [f"conv_block_{conv[4]}.conv{conv[6]}.weight" for conv in CONVS],
    ),
    "early": (
        "PaddleClas' early dygraph/VGG19_pretrained.pdparams",
        [f"_conv_block_{conv[4]}._conv_{conv[6]}.weight" for conv in CONVS],
    ),
    "vision": ("paddle.vision's vgg19.pdparams", [f"features.{n}.weight" for n in VISION]),
}
every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def variables_of(form) -> dict:
    """The recordings' convolutions under this form's names; biases of 0 where it has biases."""
    recorded = golden.vgg19_variables()
    variables = {name: recorded[f"vgg19_{conv}_weights"] for conv, name in zip(CONVS, form[1])}
    if form is FORMS["vision"]:
        variables.update(
            {f"features.{n}.bias": np.zeros(variables[f"features.{n}.weight"].shape[0], "f4") for n in VISION}
        )
    return variables


def write(form, folder):
    """The form's file or folder, with what else such a file holds: a classifier, which is not read."""
    variables = variables_of(form)
    if form in (FORMS["article"], FORMS["original"]):
        return write_folder(folder / "VGG19_pretrained", {**variables, "fc6_weights": np.ones((2, 2), "float32")})
    path = folder / "VGG19_pretrained.pdparams"
    variables["fc1.weight"] = np.ones((2, 2), "float32")
    names = {name: f"{name}.w_0" for name in variables}
    path.write_bytes(pickle.dumps({**variables, "StructuredToParameterName@@": names}, protocol=2))
    return path


@pytest.fixture
def given(monkeypatch, tmp_path):
    """load_vgg19(given(variables)): as if a file held them; one number a variable keeps that free."""
    monkeypatch.setattr(golden, "weight", golden.constant)

    def path_to(variables):
        monkeypatch.setattr(vgg19_weights, "read_pdparams", lambda path: variables)
        return tmp_path / "VGG19 weights"

    return path_to


@pytest.mark.slow
@every_form
def test_each_form_gives_the_recorded_weights(form, tmp_path, capsys):
    """By their weights: test_vgg19.py compares the maps."""
    path = write(form, tmp_path)
    network = load_vgg19(path)
    assert capsys.readouterr().out.startswith(f"VGG19: {path} ({form[0]}")
    assert not network.training and not any(layer.training for layer in network.sublayers())
    assert all(parameter.stop_gradient for parameter in network.parameters())
    for conv in CONVS:
        weight = getattr(network, conv).weight.numpy()
        np.testing.assert_array_equal(weight, golden.weight(f"vgg19_{conv}_weights", weight.shape))
    if path.is_file():
        path.unlink()  # 80 MB, and pytest keeps those of three runs


@every_form
def test_a_file_needs_the_layers_that_are_asked_for_and_no_deeper_one(form, given):
    names = form[1]
    wanted = {conv: getattr(VGG19(deepest="conv3_4"), conv).weight.shape for conv in CONVS[:8]}
    variables = variables_of(form)
    for name in names[8:]:
        del variables[name]
    network = load_vgg19(given(variables), deepest="conv3_4")
    assert {conv: getattr(network, conv).weight.shape for conv in CONVS[:8]} == wanted
    path = given(variables)
    said = errors.message(load_vgg19, path, deepest="conv4_1")
    assert said.startswith(f"{path} ({form[0]}")
    assert said.endswith(f": {names[8]}: expected shape [512, 256, 3, 3], not found")


def test_other_weights_are_refused_by_name(tmp_path, weights_file):
    said = errors.message(load_vgg19, weights_file)
    assert said.startswith(f"{weights_file}: no VGG19 weights in any known form; found ") and "blocks.0.bn1" in said
    assert errors.message(load_vgg19, tmp_path / "none.pdparams") == f"{tmp_path / 'none.pdparams'}: no such file"
    assert errors.message(load_vgg19, tmp_path).startswith(f"{tmp_path}: empty")
