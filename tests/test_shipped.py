"""The generators that come with the project: found from everywhere, and as good as their card says."""

import csv
import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data as photographs
from skimage.metrics import peak_signal_noise_ratio

from common.errors import InputError
from data import lpips
from data.imresize import enlarge, imresize
from data.pictures.reading import read_picture
from data.prepare import write_sample
from infer import Upscaler, evaluate
from infer.deblocking import deblocked
from infer.measuring import measure
from models.weight_files.shipped import FOLDER, SHIPPED, weights_path
from models.weight_files.weights import load_generator

ROOT = Path(__file__).resolve().parents[1]
CARD = (FOLDER / "README.md").read_text(encoding="utf-8")
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee")
needs_lpips = pytest.mark.skipif(not lpips.available(), reason=f"LPIPS's weights are missing: {lpips.COMMAND}")
COLUMNS = {title: key for key, title, _ in measure.COLUMNS}


def test_a_name_is_a_path_from_wherever():
    assert weights_path("srgan") == str(ROOT / "weights" / "srgan.pdparams")
    assert weights_path("srresnet") == str(ROOT / "weights" / "srresnet.pdparams")
    for path in ("./srgan", "srgan.pdparams", "output/srgan", "SRGAN"):
        assert weights_path(path) == path
    assert weights_path(Path("srgan")) == "srgan"


@pytest.mark.parametrize("name", SHIPPED)
def test_the_files_are_the_cards(name):
    file = SHIPPED[name].read_bytes()
    assert hashlib.sha256(file).hexdigest() in CARD
    assert len(file) < 6.3e6
    for value in load_generator(SHIPPED[name]).state_dict().values():
        assert value.numpy().dtype == np.float32


def test_a_missing_one_says_how_to_get_it_back(monkeypatch, tmp_path):
    path = tmp_path / "srgan.pdparams"
    monkeypatch.setitem(SHIPPED, "srgan", path)
    with pytest.raises(Exception, match="srgan.pdparams: no such file; .*git checkout -- weights"):
        load_generator(path)


def test_for_an_unknown_name_the_error_lists_the_known_ones():
    with pytest.raises(InputError, match=r"srgan_foto: no such file, .*\(srgan, srresnet or srgan_photo\)"):
        load_generator("srgan_foto")


@pytest.fixture(scope="module")
def enlarged():
    """[(HR, bicubic's, srresnet's, srgan's result) of a part of each of PHOTOGRAPHS]; no evaluation code in it."""
    generators = [Upscaler(name, precision="fp32") for name in ("srresnet", "srgan")]
    results = []
    for name in PHOTOGRAPHS:
        hr = np.ascontiguousarray(getattr(photographs, name)()[:256, :256])
        lr = imresize(hr, 64, 64)
        results.append((hr, enlarge(lr), *(generator(lr) for generator in generators)))
    return results


def test_srresnet_is_nearer_to_the_photographs_than_bicubic(enlarged):
    for hr, bicubic, srresnet, _ in enlarged:
        assert peak_signal_noise_ratio(hr, srresnet) > peak_signal_noise_ratio(hr, bicubic)


def test_colours_and_brightness_are_the_photographs(enlarged):
    """The mean of each channel, in grey levels: a cast of 2 is hardly seen."""
    for hr, _, *results in enlarged:
        assert all(np.abs(sr.mean((0, 1)) - hr.mean((0, 1))).max() < 2 for sr in results)


@pytest.fixture(scope="module")
def compressed(tmp_path_factory):
    """[(HR, srgan's, srgan_photo's result, the same after deblocking)] of JPEG LR of quality 40 and 60."""
    path = tmp_path_factory.mktemp("compressed") / "lr.jpg"
    srgan, photo = (Upscaler(name, precision="fp32") for name in ("srgan", "srgan_photo"))
    results = []
    for name, quality in zip(PHOTOGRAPHS * 2, (40, 60) * 3):
        hr = np.ascontiguousarray(getattr(photographs, name)()[:256, :256])
        Image.fromarray(imresize(hr, 64, 64)).save(path, quality=quality)
        lr = read_picture(path)
        results.append((hr, srgan(lr.colour), photo(lr.colour), photo(deblocked(lr.colour, lr.jpeg))))
    return results


def test_srgan_photo_is_nearer_to_the_photographs_where_lr_was_compressed(compressed):
    gains = [
        peak_signal_noise_ratio(hr, photo) - peak_signal_noise_ratio(hr, srgan) for hr, srgan, photo, _ in compressed
    ]
    assert min(gains) > 0 and np.mean(gains) > 0.4


@needs_lpips
def test_srgan_photo_looks_nearer_to_the_photographs_and_more_so_after_deblocking(compressed):
    distance = lpips.Lpips()
    distances = [[distance(sr, hr) for sr in results] for hr, *results in compressed]
    srgan, photo, after_deblocking = np.mean(distances, axis=0)
    assert photo < 0.9 * srgan and after_deblocking < 0.85 * srgan


def card_tables() -> dict:
    """{--hr of the card's command: {method: {column: text}}} of its `$ python infer/evaluate.py …` and their means."""
    result = {}
    for block in re.findall(r"```text\n\$ python infer/evaluate\.py (--hr .*?)```", CARD, flags=re.DOTALL):
        command, *lines = block.strip().splitlines()
        header, *rows = [re.split(r"  +", line) for line in lines if line.startswith(("method", "bicubic", "sr"))]
        result[command.split()[1]] = {row[0]: dict(zip(header[1:], row[1:])) for row in rows}
    return result


def test_the_card_has_a_table_for_each_set():
    assert list(card_tables()) == ["samples", "Set5/HR", "Set14/HR", "BSD100/HR"]


@pytest.mark.slow
def test_the_cards_figures_hold(tmp_path):
    """Of scikit-image's photographs, measured anew."""
    write_sample(tmp_path / "samples")
    flags = ["--hr", str(tmp_path / "samples"), "--csv", str(tmp_path / "figures.csv")]
    evaluate.main(evaluate.parser().parse_args(flags))
    with open(tmp_path / "figures.csv", encoding="utf-8", newline="") as file:
        means = {row["method"]: row for row in csv.DictReader(file) if row["picture"] == "mean"}
    tolerances = {"PSNR-Y": 0.006, "SSIM-Y": 6e-5, "grid": 0.006, **({"LPIPS": 2e-4} if lpips.available() else {})}
    for method, figures in card_tables()["samples"].items():
        for title, tolerance in tolerances.items():
            mean = float(means[method][COLUMNS[title]])
            assert mean == pytest.approx(float(figures[title]), abs=tolerance), (method, title)
