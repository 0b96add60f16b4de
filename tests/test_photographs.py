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
from tests.helpers.lpips_weights import random_weights

HR = np.ascontiguousarray(photographs.chelsea()[:160, :240])


def lr_of(kind, hr=HR):
    return methods.read_lr(io.BytesIO(kinds.make_lr(kind, hr)))[0].astype(float)


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_a_kind_depends_on_the_picture_alone(kind):
    first = kinds.make_lr(kind, HR)
    assert kinds.make_lr(kind, HR[::-1]) != first == kinds.make_lr(kind, HR.copy())
    difference = np.abs(lr_of(kind) - bicubic(HR)).mean()
    assert difference == 0 if kind == "clean" else 2 < difference < 15


@pytest.mark.parametrize("kind, quality, columns, rows", [("web", 80, 2, 2), ("phone", 92, 2, 2), ("camera", 75, 2, 1)])
def test_jpegs_have_libjpegs_steps_of_their_quality_and_their_share_of_colours(kind, quality, columns, rows):
    with Image.open(io.BytesIO(kinds.make_lr(kind, HR))) as image:
        row = [16, 11, 10, 16, 24, 40, 51, 61]  # T.81, table K.1; below, libjpeg's scaling for 50 and more
        assert list(image.quantization[0][:8]) == [(step * (200 - 2 * quality) + 50) // 100 for step in row]
        assert image.layer[0][1:3] == (columns, rows) and image.layer[1][1:3] == (1, 1)


def test_a_sensors_noise_grows_with_light_and_is_interpolated_and_grain_is_of_its_strength():
    for level in (64, 160):
        light = (level / 255) ** 2.2
        flat = Image.new("RGB", (300, 300), (level,) * 3)
        seen = np.asarray(kinds.expose(flat, 0.01, 1, np.random.default_rng(0)), float)
        red = (seen[..., 0] / 255) ** 2.2 - light
        expected = np.sqrt(0.01 * (light + 0.01))
        assert red[::2, ::2].std() == pytest.approx(expected, rel=0.03)
        assert red[1::2, 1::2].std() == pytest.approx(expected / 2, rel=0.03), "the mean of four"
    scan = lr_of("scan", np.full((800, 800, 3), 128, "uint8")).mean(2)
    assert scan.std() == pytest.approx(np.sqrt(6**2 + 2**2 / 3), rel=0.03), "its grain, and the mean of its colours'"


def test_what_is_out_of_focus_is_spread_over_a_disk():
    edge = np.repeat(np.where(np.arange(240) < 120, 60, 190)[None], 160, 0).astype("uint8")[..., None].repeat(3, 2)
    slope = np.diff(lr_of("defocus", edge)[..., 1].mean(0))[25:34]  # four pixels to either side of the edge
    places = np.arange(len(slope))
    variance = np.average((places - np.average(places, weights=slope)) ** 2, weights=slope)
    assert variance == pytest.approx(1.75**2 / 4 + 1 / 12, rel=0.15), "a disk's, and a pixel's own"


def test_it_prints_a_row_for_each_kind_and_writes_the_kinds(tmp_path, monkeypatch, capsys, weights_file):
    folder = tmp_path / "hr"
    folder.mkdir()
    for number in range(3):
        write_rgb(folder / f"{number}.png", HR[:, 20 * number :][:, :160])
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
    assert (tmp_path / "kinds/phone/2.jpg").read_bytes() == kinds.make_lr("phone", read_rgb(folder / "2.png"))
    with pytest.raises(InputError, match="0.png exists already"):
        kinds.main(kinds.parser().parse_args(written))


def test_real_esrgans_results_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(methods, "load_ncnn", lambda: lambda lr: lr.repeat(4, 0).repeat(4, 1))
    lrs = [HR[:8, :12], HR[:12, :8], HR[1:9, :12]]
    made = [methods.real_esrgan(tmp_path)(lr, None) for lr in lrs]
    monkeypatch.setattr(methods, "load_ncnn", lambda: pytest.fail("it is kept"))
    for lr, sr in zip(lrs, made):
        assert np.array_equal(sr, lr.repeat(4, 0).repeat(4, 1))
        assert np.array_equal(methods.real_esrgan(tmp_path)(lr, None), sr)


def test_a_crop_is_that_of_the_whole_picture_enlarged_from_a_corner_of_blocks(tmp_path):
    write_rgb(tmp_path / "cat.png", HR)
    windows = []
    ways = {"bicubic": lambda lr, jpeg: windows.append(lr) or enlarge(lr)}
    for centre, left, top in ((None, 90, 60), ((0, 159), 0, 120), ((200, 70), 170, 50)):
        found = sheet.cells(tmp_path / "cat.png", centre, (60, 40), ways)["bicubic"]
        assert np.array_equal(found, enlarge(HR)[4 * top : 4 * (top + 40), 4 * left : 4 * (left + 60)])
        height, width = windows[-1].shape[:2]
        blocks = [HR[y : y + height, x : x + width] for y in range(0, 160, 16) for x in range(0, 240, 16)]
        assert any(np.array_equal(block, windows[-1]) for block in blocks)


def test_the_sheet_has_a_row_for_each_picture_and_a_column_for_each_method(tmp_path, weights_file):
    write_rgb(tmp_path / "cat.png", HR)
    Image.fromarray(HR[:30, :20]).save(tmp_path / "small.jpg")
    line = f"{tmp_path}/cat.png@50,50 {tmp_path}/small.jpg --crop 40x32 --zoom 2 --weights {weights_file}"
    sheet.main(sheet.parser().parse_args([*line.split(), "--to", str(tmp_path / "sheet.png")]))
    drawn = read_rgb(tmp_path / "sheet.png")
    assert drawn.shape == (28 + 2 * (28 + 8) + 8 * (32 + 30), 8 + 2 * (8 + 320), 3)
    expected = enlarge(HR)[4 * 34 : 4 * 66, 4 * 30 : 4 * 70].repeat(2, 0).repeat(2, 1)
    assert np.array_equal(drawn[56 : 56 + 256, 8 : 8 + 320], expected)
