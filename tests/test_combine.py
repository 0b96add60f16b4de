"""Blends and sums of generators."""

import numpy as np
import pytest

from common.errors import InputError
from infer.combine import main, mix, parser
from models.weight_files import weights
from models.weight_files.shipped import SHIPPED
from tests.helpers import generators


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_blending_interpolates_every_weight_and_statistic(weights_file, other_file, g_models, alpha):
    first, second = (generators.numbers(generators.recorded(seed)) for seed in (0, 1))
    for start in (weights_file, g_models):
        mixture = mix(start, other_file, alpha)
        assert mixture.keys() == first.keys()
        for name, array in first.items():
            expected = (1 - alpha) * array.astype("float64") + alpha * second[name]
            np.testing.assert_allclose(mixture[name], expected, rtol=0, atol=1e-6, err_msg=name)
    with pytest.raises(InputError, match="--alpha 1.5: must be between 0 and 1"):
        mix(weights_file, other_file, 1.5)


def test_every_weight_is_the_sum_and_the_statistics_are_the_firsts(weights_file, other_file, tmp_path):
    first, second, third = (
        generators.numbers(weights.load_generator(path)) for path in (weights_file, other_file, SHIPPED["srgan"])
    )
    to = tmp_path / "sum.pdparams"
    flags = ["--add", str(other_file), "-0.5", "--add", "srgan", "1.5", "-o", str(to)]
    main(parser().parse_args([str(weights_file), *flags]))
    result = generators.numbers(weights.load_generator(to))
    assert result.keys() == first.keys()
    for name, array in result.items():
        if name.endswith(("_mean", "_variance")):
            np.testing.assert_array_equal(array, first[name])
        else:
            expected = first[name].astype("float64") - 0.5 * second[name] + 1.5 * third[name]
            np.testing.assert_allclose(array, expected, rtol=0, atol=1e-5, err_msg=name)


def test_a_share_that_is_no_share(capsys):
    with pytest.raises(SystemExit):
        parser().parse_args(["srgan", "--add", "srresnet", "11", "-o", "sum.pdparams"])
    assert "argument --add: '11' is not a number from -10 to 10" in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags, words",
    [
        ("one.pdparams --add srgan 1 -o one.pdparams", "--output one.pdparams would replace one.pdparams"),
        ("srgan --add one.pdparams 1 -o one.pdparams", "--output one.pdparams would replace one.pdparams"),
        ("srgan --add one.pdparams 1 -o holiday.png", "holiday.png: weights are written; give a name ending in .pd"),
        ("srgan --add missing.pdparams 1 -o new.pdparams", "missing.pdparams: no such file"),
    ],
)
def test_nothing_is_replaced_and_what_is_missing_is_named(flags, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("one.pdparams", "holiday.png"):
        (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(InputError, match=words):
        main(parser().parse_args(flags.split()))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == dict.fromkeys(
        ("one.pdparams", "holiday.png"), b"mine"
    )
