"""What a run measures on is what `evaluate` prints for the same weights."""

import json

import cv2
import numpy as np
import pytest

from common.errors import InputError
from data import lpips
from infer import evaluate
from models.weight_files import weights
from tests.helpers import generators, matlab
from tests.helpers.lpips_weights import random_weights
from train.report import validation


def write(path, rgb):
    assert cv2.imwrite(str(path), rgb[:, :, ::-1])


@pytest.fixture
def folder(tmp_path):
    """Two pictures whose sides are no multiples of 4, one wide and one high."""
    folder = tmp_path / "hr"
    folder.mkdir()
    for name, (height, width) in {"a.png": (54, 75), "b.bmp": (82, 45)}.items():
        smooth = cv2.resize(matlab.noise(height // 6, width // 6), (width, height), interpolation=cv2.INTER_CUBIC)
        write(folder / name, smooth)
    return folder


@pytest.mark.slow
def test_figures_are_those_of_evaluate(folder, tmp_path):
    generator = generators.shifting(((0, 1), (1, 0), (-1, 0)))
    weights.save(generator, tmp_path / "g.pdparams")
    line = ["--hr", folder, "--weights", tmp_path / "g.pdparams", "--engine", "eager", "--device", "cpu"]
    lpips.write(tmp_path / "lpips.npz", random_weights())
    line += ["--lpips", tmp_path / "lpips.npz", "--json", tmp_path / "f.json"]
    evaluate.main(evaluate.parser().parse_args([*map(str, line)]))
    expected = json.loads((tmp_path / "f.json").read_text(encoding="utf-8"))["means"]["g"]
    found = validation.measure(generator, validation.pictures(folder), distance=lpips.Lpips(random_weights()))
    # Paddle 2.6.2 divides by multiplying with the reciprocal: a few pixels in a million round to the next grey level.
    names = ("psnr", "ssim", "lpips", "grid")
    wanted = {f"valid_{name}": expected.get(name, expected.get(f"{name}_y")) for name in names}
    assert found == pytest.approx(wanted, abs=1e-4) and found["valid_lpips"] > 0.001
    del wanted["valid_lpips"]
    assert validation.measure(generator, validation.pictures(folder)) == pytest.approx(wanted, abs=1e-4)
    assert 5 < found["valid_psnr"] < 30


def test_means_are_over_the_pictures(folder):
    """One that makes every picture the same grey: its PSNR is known from the HR pictures alone."""
    network, state = generators.with_zeros()
    network.set_state_dict(state)  # tanh of 0: grey level 127.5, to even 128
    network.eval()
    expected = []
    for name in ("a.png", "b.bmp"):
        hr = cv2.imread(str(folder / name))[:, :, ::-1]
        hr = hr[: hr.shape[0] // 4 * 4, : hr.shape[1] // 4 * 4][4:-4, 4:-4]
        luma = np.floor(16 + hr.astype(float) @ np.array([65.481, 128.553, 24.966]) / 255 + 0.5)
        grey = np.floor(16 + 128 * 219 / 255 + 0.5)
        expected.append(10 * np.log10(255**2 / np.mean((luma - grey) ** 2)))
    assert validation.measure(network, validation.pictures(folder))["valid_psnr"] == pytest.approx(np.mean(expected))


def test_bad_pictures_are_named_before_anything_is_measured(folder):
    write(folder / "c.png", matlab.noise(40, 19))
    with pytest.raises(InputError, match=r"c\.png is too small .*20 or more"):
        validation.pictures(folder)
    (folder / "c.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"c\.png"):
        validation.pictures(folder)
    with pytest.raises(InputError, match="none does not exist"):
        validation.pictures(folder / "none")


def test_a_picture_too_small_for_lpips_is_named_only_where_that_is_measured(folder):
    write(folder / "c.png", matlab.noise(40, 28))
    assert len(validation.pictures(folder)) == 3
    with pytest.raises(InputError, match=r"c\.png is too small for LPIPS: 28x40 .*31 or more.*--valid"):
        validation.pictures(folder, with_lpips=True)


def test_it_can_be_stopped_between_two_pictures(folder):
    class Stop(Exception):
        pass

    calls = []

    def stop():
        calls.append(1)
        raise Stop

    generator = generators.shifting(((0, 0),) * 3)
    with pytest.raises(Stop):
        validation.measure(generator, validation.pictures(folder), check_stop=stop)
    assert len(calls) == 1
    validation.measure(generator, validation.pictures(folder), check_stop=lambda: calls.append(1))
    assert len(calls) == 3


def test_nothing_of_the_generator_changes(folder, capsys):
    generator = generators.shifting(((0, 1), (1, 0), (-1, 0)))
    before = generators.numbers(generator)
    validation.measure(generator, validation.pictures(folder))
    for name, value in generators.numbers(generator).items():
        np.testing.assert_array_equal(value, before[name])
    assert capsys.readouterr().out == ""
