"""LPIPS: the authors' own figures of their example pictures, and the formula once more by SciPy."""

import gzip
import io
import os
import struct
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.signal import correlate

from common.errors import InputError
from data import lpips
from data.lpips import Lpips
from tests.helpers import golden, matlab
from tests.helpers.alarm import within
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


def archived(members: dict, method=zipfile.ZIP_STORED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return content.getvalue()


def npy(shape=(1,), descr="<f4") -> bytes:
    """The beginning of a .npy file of that shape."""
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": descr, "fortran_order": False, "shape": shape})
    return content.getvalue()


@pytest.fixture(scope="module")
def arrays():
    return random_weights()


@pytest.fixture(scope="module")
def distance(arrays):
    return Lpips(arrays)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(31, 31), (43, 60), (64, 33)])
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


def test_every_result_is_measured_against_its_own_picture(distance, arrays):
    """The features that are kept of one picture do not serve another, also where it is the same array."""
    first, second = matlab.noise(36, 36), matlab.ramp(36, 36)
    sr = matlab.checkerboard(36, 36)
    wanted = [Lpips(arrays)(sr, first), Lpips(arrays)(sr, second)]
    hr = first.copy()
    found = [distance(sr, hr)]
    hr[:] = second
    found.append(distance(sr, hr))
    assert found == wanted and wanted[0] != wanted[1]


def test_threads_get_the_figures_of_their_own_pictures(distance, arrays):
    originals = [matlab.noise(40 + i, 50) for i in range(2)]
    jobs = [(cv2.GaussianBlur(hr, (0, 0), 1.0 + i), hr) for i in range(6) for hr in originals]
    wanted = [Lpips(arrays)(*job) for job in jobs]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda job: distance(*job), jobs))
    assert found == pytest.approx(wanted, rel=1e-6)


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
        found = lpips.read(tmp_path / "w.npz")
        assert found.keys() == arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)
        assert [path.name for path in tmp_path.iterdir()] == ["w.npz"]

    def test_without_the_file_the_command_is_named(self, tmp_path):
        with pytest.raises(InputError, match=r"w\.npz: LPIPS's weights are not there; get it with: python data/dow"):
            Lpips(tmp_path / "w.npz")

    @pytest.mark.parametrize("length", [10, 5000, 9_000_000])
    def test_a_cut_off_file_is_named(self, arrays, tmp_path, length):
        path = tmp_path / "w.npz"
        lpips.write(path, arrays)
        path.write_bytes(path.read_bytes()[:length])
        with pytest.raises(
            InputError, match=r"w\.npz: not LPIPS's weights, or damaged .*python data/download.py lpips"
        ):
            lpips.read(path)

    def test_another_file_is_named(self, arrays, tmp_path):
        np.savez(tmp_path / "w.npz", **{**arrays, "conv3.weight": arrays["conv4.weight"]})
        with pytest.raises(InputError, match=r"w\.npz, as LPIPS's weights.*conv3\.weight"):
            lpips.read(tmp_path / "w.npz")
        np.save(tmp_path / "a.npy", arrays["conv0.bias"])
        (tmp_path / "a.npy").rename(tmp_path / "a.npz")
        with pytest.raises(InputError, match=r"a\.npz: not LPIPS's weights"):
            lpips.read(tmp_path / "a.npz")

    @pytest.mark.parametrize(
        "content, what",
        [
            (b"", "an empty file"),
            (b"<!DOCTYPE html><html>", r"a web page \(HTML\)"),
            (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer, not the file"),
            (b"\x89PNG\r\n\x1a\n", r"a picture \(PNG\)"),
            (archived({"archive/data.pkl": b"x"}), r"a file of PyTorch's \(\.pth, \.pt\)"),
            (archived({"note.npy": b"x"}), "a checkpoint of a training run"),
            (gzip.compress(b"x"), "an archive packed with gzip"),
        ],
    )
    def test_a_foreign_file_is_called_what_it_is(self, tmp_path, content, what):
        (tmp_path / "w.npz").write_bytes(content)
        with pytest.raises(InputError, match=rf"w\.npz: not LPIPS's weights but {what}\. Give .*download\.py lpips$"):
            lpips.read(tmp_path / "w.npz")

    @pytest.mark.parametrize(
        "content, words",
        [
            (archived({"conv0.weight.npy": npy() + bytes(10**7)}, zipfile.ZIP_DEFLATED), "its arrays are compressed"),
            (archived({"conv0.weight.npy": npy((1 << 38,))}), "conv0.weight has other bytes than its shape needs"),
            (archived({"conv0.weight.npy": npy(descr="|O")}), "conv0.weight is not an array of float32"),
            (archived({"conv0.weight.npy": npy(descr="<f8") + bytes(8)}), "conv0.weight is not an array of float32"),
            (archived({f"{i:05}": b"" for i in range(70_000)}), "its directory is missing"),
            (archived({f"{i:05}": b"" for i in range(1000)}), "its directory is too large"),
            (archived({"x": bytes(10_000_000)}), "more than 9,9..,... bytes"),
            (archived({"conv0.weight.npy": bytes(500)}).replace(bytes(400), b""), "damaged"),
            (archived({"weights": b"x"}), "as LPIPS's weights: conv0.weight: expected shape .*, not found"),
        ],
    )
    def test_a_hostile_file_is_refused(self, tmp_path, content, words):
        (tmp_path / "w.npz").write_bytes(content)
        with pytest.raises(InputError, match=rf"w\.npz.*{words}.*\. Give the file that this makes: .* lpips$"):
            lpips.read(tmp_path / "w.npz")

    def test_entries_that_lie_on_each_other_are_refused(self, tmp_path):
        content = archived({f"{name}.npy": bytes(4_000) for name in lpips.SHAPES})
        first = content.index(b"PK\1\2")
        for _ in lpips.SHAPES:  # each claims as much as the file has
            place = content.index(b"PK\1\2", first) + 20
            content = content[:place] + struct.pack("<LL", 50_000, 50_000) + content[place + 8 :]
            first = place
        (tmp_path / "w.npz").write_bytes(content)
        with pytest.raises(InputError, match="its arrays are larger than the file"):
            lpips.read(tmp_path / "w.npz")

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
    @pytest.mark.parametrize("make", [os.mkdir, getattr(os, "mkfifo", None)])
    def test_what_is_no_file_is_named(self, tmp_path, monkeypatch, make):
        monkeypatch.chdir(tmp_path)
        os.mkdir("weights")
        make(lpips.WEIGHTS)
        with within(), pytest.raises(
            InputError, match="lpips_alex.npz: not a file; .* Remove it and get it with: python data/d"
        ):
            lpips.read(lpips.WEIGHTS)
        make("w.npz")
        with within(), pytest.raises(
            InputError, match="w.npz: not a file; .* Give the file that this makes: python data/d"
        ):
            lpips.read("w.npz")

    def test_only_the_projects_own_file_is_to_be_removed(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        os.mkdir("weights")
        for path, removed in ((lpips.WEIGHTS, True), ("mine.npz", False), ("mine/lpips_alex.npz", False)):
            Path(path).parent.mkdir(exist_ok=True)
            for content in (b"", b"PK\3\4", archived({"x.npy": b""})):
                Path(path).write_bytes(content)
                with pytest.raises(InputError) as error:
                    lpips.read(path)
                assert ("Remove it" in str(error.value)) == removed and lpips.COMMAND in str(error.value)
