"""Weights by file, by folder and blended."""

import os
import pickle

import numpy as np
import paddle
import pytest

from common.errors import InputError
from infer.blending import Source
from models.weight_files import weights
from tests.helpers import generators, golden
from tests.helpers.fluid_files import write_folder


class Hostile:
    """Unpickling it runs a command."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


# --------------------------------------------------------------------------------------------------------- generator


def test_a_file_and_the_articles_folder_give_the_recordings_generator(weights_file, g_models):
    expected = generators.numbers(generators.recorded())
    for path in (weights_file, g_models):
        found = Source(str(path)).arrays()
        assert found.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_blending_interpolates_every_weight_and_statistic(weights_file, other_file, alpha):
    first, second = (generators.numbers(generators.recorded(seed)) for seed in (0, 1))
    found = Source(str(weights_file), str(other_file), alpha).arrays()
    assert len(found) == len(first)
    for name in first:
        expected = (1 - alpha) * first[name].astype("float64") + alpha * second[name].astype("float64")
        np.testing.assert_allclose(found[name], expected, rtol=0, atol=1e-6, err_msg=name)
    assert np.abs(first["out_conv.weight"] - second["out_conv.weight"]).max() > 0.1, "the two differ"


def no_such_file(folder):
    return folder / "none.pdparams"


def empty_file(folder):
    (folder / "empty.pdparams").write_bytes(b"")
    return folder / "empty.pdparams"


def text(folder):
    (folder / "text.pdparams").write_text("weights")
    return folder / "text.pdparams"


def cut(folder):
    weights.save(generators.recorded(), folder / "cut.pdparams")
    with open(folder / "cut.pdparams", "r+b") as file:
        file.truncate(2_000_000)
    return folder / "cut.pdparams"


def hostile(folder):
    path = folder / "hostile.pdparams"
    path.write_bytes(pickle.dumps({"out_conv.weight": Hostile(folder / "ran")}, protocol=2))
    return path


def other_network(folder):
    paddle.save(paddle.nn.Linear(3, 4).state_dict(), str(folder / "linear.pdparams"))
    return folder / "linear.pdparams"


def other_shape(folder):
    arrays = generators.numbers(generators.recorded())
    arrays["out_conv.weight"] = np.zeros((3, 64, 9, 9), "float32")  # the paper's
    paddle.save({name: paddle.to_tensor(array) for name, array in arrays.items()}, str(folder / "paper.pdparams"))
    return folder / "paper.pdparams"


def empty_folder(folder):
    (folder / "g_models").mkdir()
    return folder / "g_models"


def folder_with_other_files(folder):
    (folder / "pictures").mkdir()
    (folder / "pictures" / "a.png").write_bytes(b"picture")
    return folder / "pictures"


def incomplete_folder(folder):
    variables = golden.generator_variables()
    del variables["out.w_0"]
    return write_folder(folder / "incomplete", variables)


BAD = [no_such_file, empty_file, text, cut, hostile, other_network, other_shape]
BAD += [empty_folder, folder_with_other_files, incomplete_folder]


@pytest.mark.slow
@pytest.mark.parametrize("bad", BAD)
def test_what_cannot_be_used_is_named(bad, tmp_path, weights_file):
    path = bad(tmp_path)
    for source in (Source(str(path)), Source(str(weights_file), str(path), 0.5)):
        with pytest.raises(InputError) as error:
            source.arrays()
        assert str(path) in str(error.value)
    assert not (tmp_path / "ran").exists()
