"""LPIPS: the authors' own figures of their example pictures, and the formula once more by SciPy."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.signal import correlate

from common.errors import InputError
from data import lpips
from data.lpips import Lpips
from tests.helpers import golden, matlab
from tests.helpers.lpips_weights import random_weights

ROOT = Path(__file__).resolve().parents[1]
STRIDES, PADDINGS = (4, 1, 1, 1, 1), (2, 2, 1, 1, 1)


def by_scipy(arrays, sr, hr):
    """The paper's formula in double precision: no convolution, pooling or order of sums is Paddle's."""

    def features(rgb):
        x = (rgb / 127.5 - 1 - [-0.030, -0.088, -0.188]) / [0.458, 0.448, 0.450]
        x = x.transpose(2, 0, 1)
        for i, (stride, padding) in enumerate(zip(STRIDES, PADDINGS)):
            if i in (1, 2):
                windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
                x = windows[:, ::2, ::2].max(axis=(3, 4))
            padded = np.pad(x, ((0, 0), (padding,) * 2, (padding,) * 2))
            kernels = arrays[f"conv{i}.weight"].astype(float)
            x = np.stack([correlate(padded, kernel, "valid", "fft")[0, ::stride, ::stride] for kernel in kernels])
            x = np.maximum(x + arrays[f"conv{i}.bias"][:, np.newaxis, np.newaxis], 0)
            yield x / (np.linalg.norm(x, axis=0) + 1e-10)

    return sum(
        np.tensordot(arrays[f"linear{i}.weight"].astype(float), (ours - theirs) ** 2, 1).mean()
        for i, (ours, theirs) in enumerate(zip(features(sr), features(hr)))
    )


@pytest.fixture(scope="module")
def arrays():
    return random_weights()


@pytest.fixture(scope="module")
def distance(arrays):
    return Lpips(arrays)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(31, 31), (43, 60)])
def test_it_is_the_papers_formula(arrays, distance, size):
    hr = matlab.noise(*size)
    sr = cv2.GaussianBlur(hr, (0, 0), 1.0)
    expected = by_scipy(arrays, sr, hr)
    assert expected > 0.01
    assert distance(sr, hr) == pytest.approx(expected, rel=1e-5)


def test_the_authors_figures(tmp_path):
    """0.7219 and 0.1376 are what the authors' package prints; their weights are not everywhere."""
    folder = golden.DATA / "lpips"
    if not (folder.is_dir() and lpips.available(ROOT / lpips.WEIGHTS)):
        pytest.skip(f"needs ../shared/data and {lpips.WEIGHTS}, by {lpips.COMMAND}")
    distance = Lpips(ROOT / lpips.WEIGHTS)
    ref, p0, p1 = (cv2.imread(str(folder / f"ex_{name}.png"))[:, :, ::-1] for name in ("ref", "p0", "p1"))
    assert [round(distance(picture, ref), 4) for picture in (p0, p1)] == [0.7219, 0.1376]


def test_equal_pictures_have_no_distance(distance):
    assert distance(matlab.noise(40, 40), matlab.noise(40, 40)) == 0


@pytest.mark.parametrize("size", [(400, 150), (261, 340), (129, 32)])
def test_bands_have_the_distance_of_the_whole(distance, monkeypatch, size):
    hr = matlab.noise(*size)
    sr = cv2.GaussianBlur(hr, (0, 0), 1.0)
    whole = distance(sr, hr)
    calls = []
    monkeypatch.setattr(Lpips, "_of_band", lambda *given, of_band=Lpips._of_band: calls.append(1) or of_band(*given))
    monkeypatch.setattr(lpips, "BAND", 2_000)
    assert distance(sr, hr) == pytest.approx(whole, rel=1e-5) and len(calls) > 1


def test_what_it_cannot_measure_is_refused(distance):
    with pytest.raises(InputError, match="too small for LPIPS: 40x30 pixels; expected 31"):
        distance(matlab.noise(30, 40), matlab.noise(30, 40))
    with pytest.raises(ValueError, match=r"\[40, 40, 3\] and \[40, 44, 3\]"):
        distance(matlab.noise(40, 40), matlab.noise(40, 44))
    with pytest.raises(ValueError, match="expected uint8"):
        distance(matlab.noise(40, 40) / 255, matlab.noise(40, 40))


class TestFile:
    def test_written_and_read(self, arrays, tmp_path):
        lpips.write(tmp_path / "w.npz", arrays)
        variables = lpips.read(tmp_path / "w.npz")
        assert variables.keys() == arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(variables[name], array)
        assert [path.name for path in tmp_path.iterdir()] == ["w.npz"]

    def test_a_cut_or_damaged_file_is_named(self, arrays, tmp_path):
        path = tmp_path / "w.npz"
        lpips.write(path, arrays)
        content = path.read_bytes()
        flipped = bytearray(content)
        flipped[5_000_000] ^= 1
        for damaged in (content[:10], content[:5000], content[:9_000_000], bytes(flipped)):
            path.write_bytes(damaged)
            with pytest.raises(InputError, match=r"w\.npz: not LPIPS's weights, or damaged .*data/download.py lpips"):
                lpips.read(path)

    def test_another_file_is_named(self, arrays, tmp_path):
        np.savez(tmp_path / "shape.npz", **{**arrays, "conv3.weight": arrays["conv4.weight"]})
        np.savez(tmp_path / "none.npz", x=np.zeros(3))
        np.savez(tmp_path / "code.npz", **{name: np.array([os.abort], object) for name in arrays})
        np.save(tmp_path / "array.npy", arrays["conv0.bias"])
        (tmp_path / "page.npz").write_bytes(b"<!DOCTYPE html><html>")
        (tmp_path / "folder.npz").mkdir()
        for path in (*tmp_path.iterdir(), tmp_path / "missing.npz"):
            with pytest.raises(InputError, match="LPIPS's weights") as error:
                lpips.read(path)
            assert str(error.value).startswith(str(path)) and lpips.COMMAND in str(error.value)
