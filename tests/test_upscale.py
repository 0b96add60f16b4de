"""`infer/upscale.py` on a folder of good and bad files of all kinds."""

import contextlib
import io
import os
import re
import subprocess
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from common import command
from infer import Upscaler, upscale
from infer.deblocking import deblocked
from tests.helpers import matlab

ROOT = Path(__file__).resolve().parents[1]
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def run(*arguments):
    """What the command prints to standard output and error, and its exit status."""
    with contextlib.redirect_stdout(io.StringIO()) as stdout, contextlib.redirect_stderr(io.StringIO()) as stderr:
        status = 0
        try:
            command.run(upscale.parser().parse_args(list(map(str, arguments))), upscale.main)
        except SystemExit as end:
            status = end.code
    return SimpleNamespace(stdout=stdout.getvalue(), stderr=stderr.getvalue(), status=status)


def upscaled_to(output, *arguments, status=0):
    """Run with `srresnet`, whose results look like the pictures; what was printed."""
    result = run(*arguments, "-o", output, "--weights", "srresnet", "--precision", "fp32", "--device", "cpu")
    assert result.status == status, result.stderr
    return result


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Good pictures of every kind, bad ones of every kind, and a sub-folder."""
    folder = tmp_path_factory.mktemp("pictures") / "good and bad"
    (folder / "sub").mkdir(parents=True)
    random = np.random.RandomState(1)
    rgb = cv2.resize(random.randint(0, 256, (4, 5, 3)).astype("uint8"), (15, 12), interpolation=cv2.INTER_CUBIC)
    alpha = np.arange(12 * 15).reshape(12, 15).astype("uint8")
    Image.fromarray(rgb).save(folder / "colour.png", icc_profile=SRGB)
    Image.fromarray(rgb).save(folder / "photo.JPG", quality=95, icc_profile=SRGB)
    Image.fromarray(rgb).save(folder / "plain.bmp")
    Image.fromarray(rgb).save(folder / "web.webp", lossless=True)
    Image.fromarray(rgb).save(folder / "scan.tif")
    Image.fromarray(rgb[:, :, 0]).save(folder / "grey.png")
    Image.fromarray(np.dstack([rgb, alpha])).save(folder / "alpha.png")
    (folder / "deep.png").write_bytes(cv2.imencode(".png", rgb.astype("uint16") * 257)[1].tobytes())
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side
    Image.fromarray(rgb).save(folder / "turned.png", exif=exif)
    Image.fromarray(rgb).save(folder / "sub" / "照片 d.png")
    Image.fromarray(rgb).convert("CMYK").save(folder / "print.jpg", quality=95)
    Image.fromarray(rgb).quantize(8).save(folder / "palette.png")
    Image.fromarray(np.dstack([rgb[:, :, 0], alpha])).save(folder / "grey and alpha.png")
    pages = [Image.fromarray(rgb[::step]) for step in (1, -1, 1)]
    pages[0].save(folder / "pages.tiff", save_all=True, append_images=pages[1:])
    (folder / "half.jpg").write_bytes((folder / "photo.JPG").read_bytes()[:-300])
    (folder / "empty.png").touch()
    (folder / "words.jpg").write_text("this is no picture")
    (folder / "cut.png").write_bytes((folder / "colour.png").read_bytes()[:-200])
    header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (90000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    (folder / "huge.png").write_bytes(header + zlib.crc32(header[12:]).to_bytes(4, "big") + b"\0\0\x01\0IDAT")
    (folder / "broken link.png").symlink_to(folder / "nowhere.png")
    (folder / "notes.txt").write_text("not a picture, and not called one")
    (folder / ".hidden.png").write_text("hidden")
    return folder


@pytest.fixture(scope="module")
def upscaled(pictures, tmp_path_factory):
    output = tmp_path_factory.mktemp("out") / "new folder" / "upscaled"
    return output, upscaled_to(output, pictures, "-r", status=1)


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.mark.slow
class TestFolder:
    def test_bad_files_are_named_and_the_others_go_on(self, upscaled):
        output, result = upscaled
        for name in ("empty.png", "words.jpg", "cut.png", "half.jpg", "huge.png", "broken link.png"):
            assert re.search(f"error: [^\n]*{name}", result.stderr), name
        assert "8100 megapixels" in result.stderr and "--max-megapixels" in result.stderr
        assert "6 of 20 could not be upscaled" in result.stderr
        assert "the result lacks all but the first of 3 pages or frames" in result.stderr
        assert "notes.txt" in result.stderr and ".hidden" not in result.stderr
        written = sorted(path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file())
        assert written == [
            "alpha_x4.png",
            "colour_x4.png",
            "deep_x4.png",
            "grey and alpha_x4.png",
            "grey_x4.png",
            "pages_x4.tiff",
            "palette_x4.png",
            "photo_x4.JPG",
            "plain_x4.bmp",
            "print_x4.jpg",
            "scan_x4.tif",
            "sub/照片 d_x4.png",
            "turned_x4.png",
            "web_x4.webp",
        ]
        assert result.stdout.startswith("14 pictures, 0.0 megapixels in ") and " MP/s: " in result.stdout

    def test_sizes_depths_planes_and_profiles_are_kept(self, upscaled):
        output, _ = upscaled
        assert pixels(output / "grey and alpha_x4.png").shape == (48, 60, 2)
        assert pixels(output / "grey_x4.png").shape == (48, 60)
        assert pixels(output / "alpha_x4.png").shape == (48, 60, 4)
        deep = cv2.imdecode(np.fromfile(output / "deep_x4.png", "uint8"), cv2.IMREAD_UNCHANGED)
        assert deep.dtype == np.uint16 and deep.shape == (48, 60, 3)
        assert len(np.unique(deep % 257)) > 100  # more than 8 bits are in it
        for name in ("colour_x4.png", "photo_x4.JPG"):
            with Image.open(output / name) as image:
                assert image.info["icc_profile"] == SRGB

    def test_the_results_are_pictures_of_the_pictures(self, upscaled, pictures):
        # Whatever was exchanged on the way (planes, sides, turns, halves of 16 bits) would not look like the input.
        output, _ = upscaled
        rgb = pixels(pictures / "colour.png").astype(float)
        names = ("colour_x4.png", "photo_x4.JPG", "plain_x4.bmp", "web_x4.webp", "scan_x4.tif", "print_x4.jpg")
        for name in names:
            shrunk = pixels(output / name).astype(float).reshape(12, 4, 15, 4, 3).mean(axis=(1, 3))
            assert np.corrcoef(shrunk.ravel(), rgb.ravel())[0, 1] > 0.95, name
        turned = pixels(output / "turned_x4.png").astype(float).reshape(15, 4, 12, 4, 3).mean(axis=(1, 3))
        assert np.corrcoef(turned.ravel(), np.rot90(rgb, -1).ravel())[0, 1] > 0.95

    def test_colour_is_what_the_python_functions_give(self, upscaled, pictures, tmp_path):
        lr = pixels(pictures / "colour.png")
        upscale_array = Upscaler("srresnet", precision="fp32", device="cpu")
        np.testing.assert_array_equal(pixels(upscaled[0] / "colour_x4.png"), upscale_array(lr))
        upscaled_to(tmp_path, pictures / "colour.png", "--deblock", "on")
        np.testing.assert_array_equal(pixels(tmp_path / "colour_x4.png"), upscale_array(deblocked(lr)))

    def test_alpha_is_enlarged_bicubically(self, upscaled, pictures):
        expected = matlab.imresize(pixels(pictures / "alpha.png")[:, :, 3], 48, 60).astype(int)
        assert np.abs(pixels(upscaled[0] / "alpha_x4.png")[:, :, 3] - expected).max() <= 1

    def test_a_second_run_skips_what_is_there_unless_told_to_replace_it(self, pictures, tmp_path):
        target = tmp_path / "colour_x4.png"
        target.write_bytes(b"mine")
        assert "--overwrite" in upscaled_to(tmp_path, pictures / "colour.png").stderr
        assert target.read_bytes() == b"mine"
        upscaled_to(tmp_path, pictures / "colour.png", "--overwrite")
        assert pixels(target).shape == (48, 60, 3)
        assert os.listdir(tmp_path) == ["colour_x4.png"]


@pytest.mark.slow
class TestFlags:
    def test_format_quality_and_suffix(self, pictures, tmp_path):
        sizes = []
        for quality in (20, 95):
            flags = ["--suffix", " large", "--format", "jpg", "--quality", quality]
            result = upscaled_to(tmp_path / str(quality), pictures / "alpha.png", *flags)
            assert "the result lacks transparency" in result.stderr
            path = tmp_path / str(quality) / "alpha large.jpg"
            with Image.open(path) as image:
                assert image.format == "JPEG" and image.mode == "RGB"
            sizes.append(path.stat().st_size)
        assert sizes[0] < sizes[1]

    def test_two_pictures_of_one_name_do_not_replace_each_other(self, pictures, tmp_path):
        inputs = [pictures / "colour.png", pictures / "sub", tmp_path / "colour.bmp"]
        Image.fromarray(pixels(pictures / "plain.bmp")).save(inputs[-1])
        result = upscaled_to(tmp_path / "o", *inputs, "--format", "png", status=1)
        assert "colour.bmp: its result would be" in result.stderr and "leave out --format" in result.stderr
        assert sorted(os.listdir(tmp_path / "o")) == ["colour_x4.png", "照片 d_x4.png"]

    @pytest.mark.parametrize(
        "flags",
        [
            ["--alpha", "0.5"],  # without --blend
            ["--suffix", "/../x"],
            ["--output", ""],
            ["--quality", "0"],
            ["--tile", "0"],
            ["--deblock", "maybe"],
            ["--engine", "abacus"],
            ["--outscale", "1"],
            ["--outscale", "4.1"],
            ["--width", "0"],
            ["--width", "10", "--height", "10"],
        ],
    )
    def test_wrong_values_are_exit_status_2(self, flags, pictures, tmp_path):
        result = run(pictures, "-o", tmp_path / "o", "--weights", "srresnet", *flags)
        assert result.status == 2 and flags[-2] in result.stderr
        assert not (tmp_path / "o").exists()

    def test_by_default_each_picture_has_the_generator_that_fits_it(self, pictures, tmp_path):
        result = run(pictures / "colour.png", pictures / "photo.JPG", "-o", tmp_path, "--device", "cpu")
        assert result.status == 0 and "srgan_photo for 1, srgan for 1 clean" in result.stderr
        expected = Upscaler("srgan", device="cpu")(pixels(pictures / "colour.png"))
        np.testing.assert_array_equal(pixels(tmp_path / "colour_x4.png"), expected)
        assert "give --weights too" in run("none.png", "-o", tmp_path / "o", "--blend", "srresnet").stderr

    @pytest.mark.parametrize("weights, reason", [("nowhere.pdparams", "no such file"), ("pictures", "folder")])
    def test_weights_that_cannot_be_used_are_exit_status_2(self, weights, reason, tmp_path):
        (tmp_path / "pictures").mkdir()
        result = run("none.png", "-o", tmp_path / "o", "--weights", tmp_path / weights)
        assert result.status == 2 and weights in result.stderr
        assert re.match(r"error: [^\n]+\n$", result.stderr), "one line"
        assert not (tmp_path / "o").exists()


@pytest.mark.slow
class TestSize:
    def test_twice_is_matlabs_reduction_of_4_times(self, upscaled, pictures, tmp_path):
        """Colour to a bit; the alpha is enlarged from the picture's own, which differs by less than it is smoothed."""
        names = ("alpha{}.png", "grey and alpha{}.png", "scan{}.tif", "turned{}.png", "web{}.webp", "deep{}.png")
        upscaled_to(tmp_path, *(pictures / name.format("") for name in names), "--outscale", 2)
        assert sorted(os.listdir(tmp_path)) == sorted(name.format("_x2") for name in names)
        for name in names:
            files = upscaled[0] / name.format("_x4"), tmp_path / name.format("_x2")
            if "deep" in name:
                large, half = (cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in files)
                assert half.dtype == np.uint16
            else:
                large, half = (pixels(path) for path in files)
            planes = half.shape[2] - ("alpha" in name)
            reduced = matlab.imresize(large, *half.shape[:2])
            assert (2 * half.shape[0], 2 * half.shape[1], half.shape[2]) == large.shape
            np.testing.assert_array_equal(half[..., :planes], reduced[..., :planes])
            assert np.abs(half[..., planes:] - reduced[..., planes:].astype(int)).max(initial=0) < 8

    def test_a_picture_too_small_or_as_large_already_is_named_and_the_others_go_on(self, pictures, tmp_path):
        Image.new("RGB", (20, 10), "teal").save(tmp_path / "a.png")
        Image.new("RGB", (61, 10), "teal").save(tmp_path / "large.png")
        files = [pictures / "colour.png", tmp_path / "a.png", tmp_path / "large.png"]
        result = upscaled_to(tmp_path / "o", *files, "--width", 61, status=1)
        assert f"error: {files[0]}: its 15x12 pixels can become at most 60x48" in result.stderr
        assert "give --width 60 or less" in result.stderr and "1 of 3 could not be upscaled" in result.stderr
        assert f"{files[2]}: skipped, its 61x10 pixels are as many as asked for" in result.stderr
        assert result.stdout.startswith("1 picture,")
        assert os.listdir(tmp_path / "o") == ["a_width61.png"]

    def test_results_of_that_size_are_not_upscaled_again(self, tmp_path):
        Image.new("RGB", (20, 10), "teal").save(tmp_path / "a.png")
        for said in ("1 picture,", "0 pictures,"):
            assert upscaled_to(tmp_path, tmp_path, "--longest", 33).stdout.startswith(said)
        assert sorted(os.listdir(tmp_path)) == ["a.png", "a_longest33.png"]


@pytest.mark.slow
def test_the_articles_folder_blended_with_a_file(pictures, weights_file, g_models, tmp_path):
    """The same generator in both forms: their mixture is that generator."""
    flags = ["--blend", g_models, "--alpha", 0.5, "--precision", "fp32", "--device", "cpu"]
    assert run(pictures / "colour.png", "-o", tmp_path, "--weights", weights_file, *flags).status == 0
    sr = Upscaler(weights_file, precision="fp32", device="cpu")(pixels(pictures / "colour.png"))
    assert np.abs(pixels(tmp_path / "colour_x4.png").astype(int) - sr).max() <= 1


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="RLIMIT_FSIZE is POSIX's")
def test_a_full_disk_is_named_and_leaves_no_half_picture(pictures, tmp_path):
    import resource

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))

    line = [sys.executable, ROOT / "infer" / "upscale.py", pictures / "plain.bmp", "-o", tmp_path, "--device", "cpu"]
    result = subprocess.run(line, capture_output=True, encoding="utf-8", check=False, timeout=600, preexec_fn=limit)
    assert result.returncode == 1
    assert "plain_x4.bmp" in result.stderr and "Traceback" not in result.stderr
    assert os.listdir(tmp_path) == []
