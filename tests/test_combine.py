"""Blends and sums of generators."""

import numpy as np
import pytest

from common.errors import InputError
from infer.combine import blended, main, parser, summed
from models.weight_files import weights
from models.weight_files.shipped import SHIPPED
from tests.helpers import generators


def test_a_file_and_the_articles_folder_give_the_recordings_generator(weights_file, g_models):
    expected = generators.numbers(generators.recorded())
    for path in (weights_file, g_models):
        arrays = blended(path)
        assert arrays.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(arrays[name], array, err_msg=name)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_blending_interpolates_every_weight_and_statistic(weights_file, other_file, alpha):
    first, second = (generators.numbers(generators.recorded(seed)) for seed in (0, 1))
    mixed = blended(weights_file, other_file, alpha)
    assert len(mixed) == len(first)
    for name, array in first.items():
        expected = (1 - alpha) * array.astype("float64") + alpha * second[name]
        np.testing.assert_allclose(mixed[name], expected, rtol=0, atol=1e-6, err_msg=name)
    assert np.abs(first["out_conv.weight"] - second["out_conv.weight"]).max() > 0.1, "the two differ"
    with pytest.raises(InputError, match="--alpha 1.5: must be between 0 and 1"):
        blended(weights_file, other_file, 1.5)


@pytest.mark.slow
def test_every_weight_is_the_sum_and_the_statistics_are_the_firsts(weights_file, other_file, tmp_path):
    first, second, third = (
        generators.numbers(weights.load_generator(path)) for path in (weights_file, other_file, SHIPPED["srgan"])
    )
    to = tmp_path / "sum.pdparams"
    flags = ["--add", str(other_file), "-0.5", "--add", "srgan", "1.5", "-o", str(to)]
    main(parser().parse_args([str(weights_file), *flags]))
    found = generators.numbers(weights.load_generator(to))
    assert len(found) == len(first)
    statistics = 0
    for name, array in found.items():
        if name.endswith(("_mean", "_variance")):
            np.testing.assert_array_equal(array, first[name])
            statistics += 1
        else:
            expected = first[name].astype("float64") - 0.5 * second[name] + 1.5 * third[name]
            np.testing.assert_allclose(array, expected, rtol=0, atol=1e-5, err_msg=name)
    assert statistics == 2 * 34, "of the head's and the trunk's batch norm and the two in each of 16 blocks"


@pytest.mark.parametrize("share", ["11", "-11", "nan", "much"])
def test_a_share_that_is_no_share(share, capsys):
    with pytest.raises(SystemExit) as stopped:
        parser().parse_args(["srgan", "--add", "srresnet", share, "-o", "sum.pdparams"])
    assert stopped.value.code == 2
    assert f"argument --add: {share!r} is not a number from -10 to 10" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["first", "--add"])
def test_a_file_that_is_none_is_named(place, tmp_path):
    missing = tmp_path / "missing.pdparams"
    first, added = (missing, SHIPPED["srgan"]) if place == "first" else (SHIPPED["srgan"], missing)
    for mixed in (lambda: summed(first, [(added, 1.0)]), lambda: blended(first, added)):
        with pytest.raises(InputError, match="missing.pdparams: no such file"):
            mixed()


@pytest.mark.parametrize("flags", [["one.pdparams", "--add", "srgan", "1"], ["srgan", "--add", "one.pdparams", "1"]])
def test_a_file_that_is_read_is_not_replaced(flags, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.pdparams").write_bytes(SHIPPED["srgan"].read_bytes())
    with pytest.raises(InputError, match="--output one.pdparams would replace one.pdparams"):
        main(parser().parse_args([*flags, "--output", "one.pdparams"]))
    assert (tmp_path / "one.pdparams").read_bytes() == SHIPPED["srgan"].read_bytes()


def test_a_photograph_is_not_replaced_by_weights(tmp_path):
    (tmp_path / "holiday.png").write_bytes(b"mine")
    with pytest.raises(InputError, match="holiday.png: weights are written; give a name ending in .pdparams"):
        main(parser().parse_args(["srgan", "--add", "srresnet", "1", "-o", str(tmp_path / "holiday.png")]))
    assert (tmp_path / "holiday.png").read_bytes() == b"mine"
