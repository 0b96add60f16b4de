"""The kinds of LR pictures and their table, and the contact sheet; with stand-ins for generators and Real-ESRGAN."""

import io

import numpy as np
import pytest
from PIL import Image
from skimage import data as photographs

from benchmarks import methods, sheet
from benchmarks import photographs as kinds
from common.errors import InputError
from data import lpips
from data.degrade import bicubic
from data.imresize import enlarge
from data.pictures.images import read_rgb, write_rgb
from data.pictures.jpeg import of_quality
from infer import Upscaler
from infer.deblocking import deblocked
from models.weight_files.shipped import SHIPPED
from tests.helpers.lpips_weights import random_weights

HR = np.ascontiguousarray(photographs.chelsea()[:160, :240])
WAYS = {"bicubic": lambda lr, jpeg: enlarge(lr), "darker": lambda lr, jpeg: enlarge(lr // 2)}


def lr_of(kind, hr=HR):
    return methods.opened(io.BytesIO(kinds.made(kind, hr)))[0].astype(float)


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_a_kind_is_of_a_quarter_and_depends_on_the_picture_alone(kind):
    first = kinds.made(kind, HR)
    kinds.made(kind, HR[::-1])
    assert kinds.made(kind, HR.copy()) == first
    lr = lr_of(kind)
    assert lr.shape == (40, 60, 3)
    assert (0 if kind == "clean" else 2) <= np.abs(lr - bicubic(HR)).mean() < (1e-9 if kind == "clean" else 15)


@pytest.mark.parametrize(
    "kind, quality, sampling",
    [
        ("web", 80, (2, 2)),
        ("messenger", 65, (2, 2)),
        ("phone", 92, (2, 2)),
        ("camera", 75, (2, 1)),
        ("defocus", 88, (2, 2)),
    ],
)
def test_jpegs_have_libjpegs_steps_of_their_quality_and_their_share_of_colours(kind, quality, sampling):
    with Image.open(io.BytesIO(kinds.made(kind, HR))) as image:
        # T.81, table K.1, its first row; libjpeg's scaling for qualities of 50 or more.
        row = [16, 11, 10, 16, 24, 40, 51, 61]
        assert list(image.quantization[0][:8]) == [(step * (200 - 2 * quality) + 50) // 100 for step in row]
        assert image.layer[0][1:3] == sampling and image.layer[1][1:3] == (1, 1)


def test_a_sensors_noise_grows_with_light_and_is_interpolated_between_its_samples():
    for level in (64, 160):
        light = (level / 255) ** 2.2
        flat = Image.new("RGB", (300, 300), (level,) * 3)
        seen = np.asarray(kinds.exposed(flat, 0.01, 1, np.random.default_rng(0)), float)
        red = (seen[..., 0] / 255) ** 2.2 - light
        expected = np.sqrt(0.01 * (light + 0.01))
        assert red[::2, ::2].std() == pytest.approx(expected, rel=0.03)
        assert red[1::2, 1::2].std() == pytest.approx(expected / 2, rel=0.03), "the mean of four"
    filtered = np.asarray(kinds.exposed(flat, 0.01, 0, np.random.default_rng(0)), int)
    assert np.ptp(filtered, axis=2).max() == 0 and filtered.std() > 5


def test_grain_is_of_unit_strength_and_correlated():
    noise = kinds.grain((300, 300, 1), np.random.default_rng(0))[..., 0]
    weights = np.exp(-(np.arange(-3, 4) ** 2) / (2 * 0.6**2))
    expected = (weights[1:] * weights[:-1]).sum() / (weights**2).sum()
    assert noise.std() == pytest.approx(1, rel=0.03)
    assert np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1] == pytest.approx(expected, abs=0.02)


def test_what_is_out_of_focus_is_spread_over_a_disk():
    edge = np.repeat(np.where(np.arange(240) < 120, 60, 190)[None], 160, 0).astype("uint8")[..., None].repeat(3, 2)
    slope = np.diff(lr_of("defocus", edge)[..., 1].mean(0))[25:34]  # four pixels to either side of the edge
    places = np.arange(len(slope))
    variance = np.average((places - np.average(places, weights=slope)) ** 2, weights=slope)
    assert variance == pytest.approx(1.75**2 / 4 + 1 / 12, rel=0.15), "a disk's, and a pixel's own"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "hr").mkdir()
    for number in range(3):
        write_rgb(tmp_path / f"hr/{number}.png", HR[:, 20 * number :][:, :160])
    return tmp_path / "hr"


def test_means_are_the_same_in_any_order_and_number(folder):
    paths = sorted(folder.iterdir())
    found = kinds.measured(paths, ["web", "scan"], WAYS, lambda sr, hr: float(np.abs(sr - hr).mean()))
    assert kinds.measured(paths[::-1], ["scan", "web"], WAYS, lambda sr, hr: float(np.abs(sr - hr).mean())) == found
    alone = [kinds.measured([path], ["scan"], WAYS, lambda sr, hr: 0.0)["scan"]["darker"] for path in paths]
    assert found["scan"]["darker"]["psnr_y"] == pytest.approx(np.mean([each["psnr_y"] for each in alone]))


def test_it_prints_a_row_for_each_kind_and_writes_the_kinds(folder, tmp_path, monkeypatch, capsys, weights_file):
    lpips.write(tmp_path / "lpips.npz", random_weights())
    monkeypatch.setattr(kinds, "available", lambda: True)
    monkeypatch.setattr(kinds, "Lpips", lambda: lpips.Lpips(tmp_path / "lpips.npz"))
    line = f"--hr {folder} --every 2 --kinds clean web phone --weights {weights_file}".split()
    kinds.main(kinds.parser().parse_args(line))
    out = capsys.readouterr().out
    rows = [[cell.strip(" |") for cell in row.split(" | ")] for row in out.splitlines() if row.startswith("|")]
    assert "mean of 2 pictures" in out and rows[0][1] == "bicubic"
    assert [row[0] for row in rows[2:]] == ["clean", "web", "phone", "mean of 2 kinds", "grid"]
    means, web, phone = (float(rows[n][1].replace("**", "").split(" / ")[0]) for n in (5, 3, 4))
    assert means == pytest.approx((web + phone) / 2, abs=1e-4)
    assert all(sum("**" in cell for cell in row) == 1 for row in rows[2:6])
    written = [*line, "--write", str(tmp_path / "kinds")]
    kinds.main(kinds.parser().parse_args(written))
    assert sorted(path.name for path in (tmp_path / "kinds/web").iterdir()) == ["0.jpg", "2.jpg"]
    assert (tmp_path / "kinds/phone/2.jpg").read_bytes() == kinds.made("phone", read_rgb(folder / "2.png"))
    with pytest.raises(InputError, match="0.png is there already"):
        kinds.main(kinds.parser().parse_args(written))


def test_srgan_photo_gets_jpegs_deblocked():
    lr = np.asarray(bicubic(HR))
    plain, method = Upscaler("srgan_photo", precision="fp32"), methods.generator(str(SHIPPED["srgan_photo"]))
    assert np.array_equal(method(lr, None), plain(lr))
    assert np.array_equal(method(lr, of_quality(60)), plain(deblocked(lr, of_quality(60))))


def test_real_esrgans_results_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(methods, "load_ncnn", lambda: lambda lr: lr.repeat(4, 0).repeat(4, 1))
    lrs = [HR[:8, :12], HR[:12, :8], HR[1:9, :12]]
    made = [methods.real_esrgan(tmp_path)(lr, None) for lr in lrs]
    monkeypatch.setattr(methods, "load_ncnn", lambda: pytest.fail("it is kept"))
    for lr, sr in zip(lrs, made):
        assert np.array_equal(sr, lr.repeat(4, 0).repeat(4, 1))
        assert np.array_equal(methods.real_esrgan(tmp_path)(lr, None), sr)


@pytest.mark.parametrize("centre, left, top", [(None, 90, 60), ((0, 159), 0, 120), ((200, 70), 170, 50)])
def test_a_crop_is_that_of_the_whole_picture_enlarged_from_a_corner_of_blocks(tmp_path, centre, left, top):
    write_rgb(tmp_path / "cat.png", HR)
    starts = []
    ways = {"bicubic": lambda lr, jpeg: (starts.append(lr), enlarge(lr))[1]}
    found = sheet.cells(tmp_path / "cat.png", centre, (60, 40), ways)["bicubic"]
    assert np.array_equal(found, enlarge(HR)[4 * top : 4 * (top + 40), 4 * left : 4 * (left + 60)])
    height, width = starts[0].shape[:2]
    corners = [(y, x) for y in range(0, 160, 16) for x in range(0, 240, 16)]
    assert any(np.array_equal(HR[y : y + height, x : x + width], starts[0]) for y, x in corners)


def test_the_sheet_has_a_row_for_each_picture_and_a_column_for_each_method(tmp_path, weights_file):
    write_rgb(tmp_path / "cat.png", HR)
    Image.fromarray(HR[:30, :20]).save(tmp_path / "small.jpg", exif=Image.Exif())
    line = f"{tmp_path}/cat.png@50,50 {tmp_path}/small.jpg --crop 40x32 --zoom 2 --weights {weights_file}"
    sheet.main(sheet.parser().parse_args([*line.split(), "--to", str(tmp_path / "sheet.png")]))
    drawn = read_rgb(tmp_path / "sheet.png")
    assert drawn.shape == (28 + 2 * (28 + 8) + 8 * (32 + 30), 8 + 2 * (8 + 320), 3)
    expected = enlarge(HR)[4 * 34 : 4 * 66, 4 * 30 : 4 * 70].repeat(2, 0).repeat(2, 1)
    assert np.array_equal(drawn[56 : 56 + 256, 8 : 8 + 320], expected)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(InputError, match="text.png: cannot be read"):
        sheet.cells(tmp_path / "text.png", None, (40, 32), WAYS)
