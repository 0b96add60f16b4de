"""The generators that come with the project: found from everywhere, and as good as their card says."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data as photographs
from skimage.metrics import peak_signal_noise_ratio

from common.errors import InputError
from data import lpips
from data.imresize import enlarge, imresize
from data.pictures.images import read_rgb, write_rgb
from data.pictures.reading import read_picture
from infer import Upscaler, app, evaluate, generator_flags, tables, upscale
from infer.deblocking import deblocked
from models.weight_files.shipped import DEFAULT, FOLDER, SHIPPED, weights_path
from models.weight_files.weights import load_generator
from tests.helpers.golden import DATA

ROOT = Path(__file__).resolve().parents[1]
CARD = (FOLDER / "README.md").read_text(encoding="utf-8")
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee")
COLUMNS = {title: key for key, title, _ in tables.COLUMNS}


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


def test_a_name_that_is_not_there_is_told_those_that_are():
    with pytest.raises(InputError, match=r"srgan_foto: no such file, .*\(srgan, srresnet or srgan_photo\)"):
        load_generator("srgan_foto")


def test_the_commands_take_them_by_themselves():
    parser = app.command.parser("")
    generator_flags.add_generator_flags(parser)
    assert parser.parse_args([]).weights == str(SHIPPED[DEFAULT])
    assert parser.parse_args(["--weights", "srresnet"]).weights == str(SHIPPED["srresnet"])
    assert parser.parse_args(["--blend", "srresnet"]).blend == str(SHIPPED["srresnet"])
    assert list(app.find_weights([]))[:2] == ["srgan", "srresnet"]


def test_a_photograph_is_upscaled_from_another_folder_by_a_command_without_flags(tmp_path):
    hr = photographs.chelsea()[20:180, 60:300]
    write_rgb(tmp_path / "photo.png", imresize(hr, 40, 60))
    line = [sys.executable, str(ROOT / "infer" / "upscale.py"), "photo.png"]
    result = subprocess.run(line, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False)
    assert result.returncode == 0, result.stderr
    sr = read_rgb(tmp_path / "upscaled" / "photo_x4.png")
    expected = Upscaler("srgan")(imresize(hr, 40, 60))
    assert np.abs(sr.astype(int) - expected).max() <= 1
    assert np.array_equal(Upscaler()(imresize(hr, 40, 60)), expected)


@pytest.mark.parametrize(
    ("name", "more", "told"), [("a.jpg", [], True), ("a.png", [], False), ("a.jpg", ["srgan_photo"], False)]
)
def test_for_jpegs_the_command_names_the_generator_made_for_them(name, more, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(photographs.chelsea()[:12, :16]).save(name)
    upscale.main(upscale.parser().parse_args([name, *(["--weights", *more] if more else [])]))
    assert ("--weights srgan_photo" in capsys.readouterr().err) == told


@pytest.mark.parametrize(
    ("name", "flags", "told"),
    [
        ("a.jpg", ["--weights=srgan_photo"], True),
        ("a.png", ["--weights=srgan_photo"], False),
        ("a.jpg", ["--weights=srgan_photo", "--deblock=off"], False),
        ("a.jpg", [], False),
    ],
)
def test_the_command_says_that_it_deblocks_and_does_so(name, flags, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(photographs.chelsea()[:12, :16]).save(name)
    upscale.main(upscale.parser().parse_args([name, "--format=png", *flags]))
    assert ("deblocked" in capsys.readouterr().err) == told
    upscaler = Upscaler("srgan_photo" if "--weights=srgan_photo" in flags else "srgan")
    picture = read_picture(name)
    lr = deblocked(picture.colour, picture.jpeg) if told else picture.colour
    assert np.array_equal(read_rgb("upscaled/a_x4.png"), upscaler(lr))


@pytest.fixture(scope="module")
def enlarged():
    """{name: [(HR, bicubic's, srresnet's, srgan's result) of PHOTOGRAPHS]}; no evaluation code of the project in it."""
    generators = [Upscaler(name, precision="fp32") for name in ("srresnet", "srgan")]
    results = []
    for name in PHOTOGRAPHS:
        hr = getattr(photographs, name)()
        hr = np.ascontiguousarray(hr[: hr.shape[0] // 4 * 4, : hr.shape[1] // 4 * 4])
        lr = imresize(hr, hr.shape[0] // 4, hr.shape[1] // 4)
        results.append((hr, enlarge(lr), *(generator(lr) for generator in generators)))
    return results


def test_srresnet_is_nearer_to_the_photographs_than_bicubic(enlarged):
    for hr, bicubic, srresnet, _ in enlarged:
        assert peak_signal_noise_ratio(hr, srresnet) > peak_signal_noise_ratio(hr, bicubic)


@pytest.mark.parametrize("place", [2, 3])
def test_colours_and_brightness_are_the_photographs(enlarged, place):
    """The mean of each channel, in grey levels: a cast of 2 is hardly seen."""
    for hr, *results in enlarged:
        assert np.abs(results[place - 1].mean((0, 1)) - hr.mean((0, 1))).max() < 2


@pytest.mark.parametrize("quality", [40, 60])
def test_srgan_photo_is_nearer_to_the_photographs_where_lr_was_compressed(quality, tmp_path):
    generators = [Upscaler(name, precision="fp32") for name in ("srgan", "srgan_photo")]
    distance = lpips.Lpips() if lpips.available() else None
    gains, distances = [], []
    for name in PHOTOGRAPHS:
        hr = np.ascontiguousarray(getattr(photographs, name)()[:256, :256])
        Image.fromarray(imresize(hr, 64, 64)).save(tmp_path / "lr.jpg", quality=quality)
        lr = read_picture(tmp_path / "lr.jpg")
        srgan, photo = (generator(lr.colour) for generator in generators)
        gains.append(peak_signal_noise_ratio(hr, photo) - peak_signal_noise_ratio(hr, srgan))
        if distance:
            after_deblocking = generators[1](deblocked(lr.colour, lr.jpeg))
            distances.append([distance(sr, hr) for sr in (srgan, photo, after_deblocking)])
    assert min(gains) > 0 and np.mean(gains) > 0.4
    if distances:
        srgan, photo, after_deblocking = np.mean(distances, axis=0)
        assert photo < 0.9 * srgan
        assert after_deblocking < 0.85 * srgan


def tables() -> list:
    """[(command, {method: {column: text}})] of the card's blocks, a `$ python infer/evaluate.py …` and its means."""
    found = []
    for block in re.findall(r"```text\n(\$ python infer/evaluate\.py .*?)```", CARD, flags=re.DOTALL):
        command, *lines = block.strip().splitlines()
        header, *rows = [re.split(r"  +", line) for line in lines if line.startswith(("method", "bicubic", "sr"))]
        found.append((command, {row[0]: dict(zip(header[1:], row[1:])) for row in rows}))
    return found


def test_the_card_has_a_table_for_each_set():
    assert [re.search(r"--hr (\S+)", command)[1] for command, _ in tables()] == [
        "samples",
        "Set5/HR",
        "Set14/HR",
        "BSD100/HR",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("command", "rows"), tables(), ids=lambda value: value[:40] if isinstance(value, str) else "")
def test_the_cards_figures_hold(command, rows, tmp_path):
    """Measured anew on what is there: scikit-image's photographs, Set5 where it is."""
    words = command.split()
    hr = words[words.index("--hr") + 1]
    if hr == "samples":
        folder = tmp_path / "samples"
        subprocess.run(
            [sys.executable, "data/prepare.py", "--sample", folder], cwd=ROOT, check=True, capture_output=True
        )
        given = ["--hr", str(folder)]
    elif hr == "Set5/HR" and (DATA / "Set5").is_dir():
        given = ["--hr", str(DATA / "Set5/HR"), "--lr", str(DATA / "Set5/LRbicx4")]
    else:
        pytest.skip(f"{hr} is not here, or takes minutes")
    file = tmp_path / "figures.json"
    evaluate.main(evaluate.parser().parse_args([*given, "--json", str(file)]))
    means = json.loads(file.read_text(encoding="utf-8"))["means"]
    # The weights of LPIPS are optional; so is the row of figures that only they can give.
    for method, figures in rows.items():
        for title, tolerance in (("PSNR-Y", 0.006), ("SSIM-Y", 6e-5), ("LPIPS", 2e-4), ("grid", 0.006)):
            if title == "LPIPS" and not lpips.available():
                continue
            assert means[method][COLUMNS[title]] == pytest.approx(float(figures[title]), abs=tolerance), (method, title)
