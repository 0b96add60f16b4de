"""`infer/upscale.py` as a user runs it, on a folder of good and bad files of all kinds."""

import os
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from infer import Upscaler
from infer.deblocking import deblocked
from models.generator import Generator
from models.weight_files import weights
from tests.helpers import matlab

ROOT = Path(__file__).resolve().parents[1]
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def run(*arguments, **kwargs):
    line = [sys.executable, str(ROOT / "infer" / "upscale.py"), *map(str, arguments)]
    return subprocess.run(line, capture_output=True, encoding="utf-8", check=False, timeout=600, **kwargs)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A generator whose SR looks like its LR, as a trained one's does: mostly what it gets, the rest small and random.

    Only the first three channels of each layer carry the picture; batch norms have statistics of their own.
    """
    random = np.random.RandomState(0)
    network = Generator()
    state = {}
    for name, value in network.state_dict().items():
        shape = list(value.shape)
        if name.endswith("_mean"):
            state[name] = 0.1 * random.standard_normal(shape)
        elif name.endswith("_variance"):
            state[name] = np.full(shape, 1 - 1e-3)
        elif len(shape) == 4:
            state[name] = 0.005 * random.standard_normal(shape)
            middle = shape[2] // 2
            for channel in range(3):
                if "upsample" in name:
                    state[name][4 * channel : 4 * channel + 4, channel, middle, middle] += 1
                elif "head" in name or "out" in name:
                    state[name][channel, channel, middle, middle] += 1
        else:
            state[name] = np.ones(shape) if name.endswith("weight") else np.zeros(shape)
    # The picture is made positive for the ReLUs on its way, and put back to [-1,1] at the end.
    state["head_conv.bias"][:3] = 2
    state["out_conv.bias"][:3] = -2
    network.set_state_dict({name: value.astype("float32") for name, value in state.items()})
    path = tmp_path_factory.mktemp("weights") / "trained.pdparams"
    weights.save(network, path)
    return path


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
    deep = cv2.imencode(".png", rgb.astype("uint16") * 257)[1].tobytes()
    (folder / "deep.png").write_bytes(deep)
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
    (folder / "zero.bmp").write_bytes(b"BM" + b"\0" * 60)
    (folder / "broken link.png").symlink_to(folder / "nowhere.png")
    (folder / "notes.txt").write_text("not a picture, and not called one")
    (folder / ".hidden.png").write_text("hidden")
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return {**os.environ, "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}


@pytest.fixture(scope="module")
def upscaled(pictures, trained, cache, tmp_path_factory):
    output = tmp_path_factory.mktemp("out") / "new folder" / "upscaled"
    result = run(pictures, "-r", "-o", output, "--weights", trained, "--precision", "fp32", env=cache)
    return output, result


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


class TestFolder:
    @pytest.mark.slow
    def test_bad_files_are_named_with_the_reason_and_the_others_go_on(self, upscaled):
        _, result = upscaled
        assert result.returncode == 1
        assert "Traceback" not in result.stderr
        for name, reason in (
            ("empty.png", "empty"),
            ("words.jpg", "is not a PNG"),
            ("cut.png", "cannot be read"),
            ("half.jpg", "runcated"),
            ("huge.png", "8100 megapixels"),
            ("zero.bmp", "cannot be read"),
            ("broken link.png", "is not there"),
        ):
            (line,) = [line for line in result.stderr.splitlines() if line.startswith("error:") and name in line]
            assert reason in line
        assert "--max-megapixels" in result.stderr
        assert "7 of 21 could not be upscaled" in result.stderr
        assert "has 3 pages or frames; only the first is used" in result.stderr
        assert "notes.txt" in result.stderr
        assert ".hidden" not in result.stderr

    def test_every_good_picture_has_its_result_and_nothing_else_is_there(self, upscaled):
        output, _ = upscaled
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

    def test_the_closing_line_counts_them(self, upscaled):
        _, result = upscaled
        (line,) = result.stdout.splitlines()
        assert line.startswith("14 pictures, 0.0 megapixels in ")  # 14 of 60×48
        assert " MP/s: " in line

    def test_sizes_depths_and_planes_are_kept(self, upscaled):
        output, _ = upscaled
        expected = {
            "colour_x4.png": (48, 60, 3),
            "grey and alpha_x4.png": (48, 60, 2),
            "grey_x4.png": (48, 60),
            "alpha_x4.png": (48, 60, 4),
        }
        expected.update(
            {
                "turned_x4.png": (60, 48, 3),
                "print_x4.jpg": (48, 60, 3),
                "scan_x4.tif": (48, 60, 3),
                "photo_x4.JPG": (48, 60, 3),
            }
        )
        for name, shape in expected.items():
            assert pixels(output / name).shape == shape, name
        deep = cv2.imdecode(np.fromfile(output / "deep_x4.png", "uint8"), cv2.IMREAD_UNCHANGED)
        assert deep.dtype == np.uint16 and deep.shape == (48, 60, 3)
        assert len(np.unique(deep % 257)) > 100  # more than 8 bits are in it

    def test_the_results_are_pictures_of_the_pictures(self, upscaled, pictures):
        # Whatever was exchanged on the way (planes, sides, turns, halves of 16 bits) would not look like the input.
        output, _ = upscaled
        rgb = pixels(pictures / "colour.png").astype(float)
        for name in ("colour_x4.png", "photo_x4.JPG", "plain_x4.bmp", "web_x4.webp", "scan_x4.tif"):
            sr = pixels(output / name).astype(float)
            shrunk = sr.reshape(12, 4, 15, 4, 3).mean(axis=(1, 3))
            assert np.corrcoef(shrunk.ravel(), rgb.ravel())[0, 1] > 0.9, name
        turned = pixels(output / "turned_x4.png").astype(float).reshape(15, 4, 12, 4, 3).mean(axis=(1, 3))
        assert np.corrcoef(turned.ravel(), np.rot90(rgb, -1).ravel())[0, 1] > 0.9

    def test_colour_is_what_the_python_function_gives(self, upscaled, pictures, trained, cache, monkeypatch):
        output, _ = upscaled
        monkeypatch.setenv("XDG_CACHE_HOME", cache["XDG_CACHE_HOME"])
        sr = Upscaler(trained, precision="fp32")(pixels(pictures / "colour.png"))
        np.testing.assert_array_equal(pixels(output / "colour_x4.png"), sr)

    def test_deblocked_colour_is_what_the_python_functions_give(self, pictures, trained, cache, tmp_path, monkeypatch):
        flags = ["--weights", trained, "--precision", "fp32", "--deblock", "on"]
        run(pictures / "colour.png", "-o", tmp_path, *flags, env=cache)
        monkeypatch.setenv("XDG_CACHE_HOME", cache["XDG_CACHE_HOME"])
        sr = Upscaler(trained, precision="fp32")(deblocked(pixels(pictures / "colour.png")))
        np.testing.assert_array_equal(pixels(tmp_path / "colour_x4.png"), sr)

    def test_alpha_is_enlarged_bicubically(self, upscaled, pictures):
        output, _ = upscaled
        expected = Image.fromarray(pixels(pictures / "alpha.png")[:, :, 3]).resize((60, 48), Image.Resampling.BICUBIC)
        found = pixels(output / "alpha_x4.png")[:, :, 3].astype(int)
        inside = (slice(8, -8), slice(8, -8))  # Pillow treats borders in another way
        assert np.abs(found - np.asarray(expected).astype(int))[inside].max() <= 1

    def test_the_profile_is_carried_over(self, upscaled):
        output, _ = upscaled
        for name in ("colour_x4.png", "photo_x4.JPG"):
            with Image.open(output / name) as image:
                assert image.info["icc_profile"] == SRGB

    @pytest.mark.slow
    def test_a_second_run_skips_what_is_there_unless_told_to_replace_it(
        self, upscaled, pictures, trained, cache, tmp_path
    ):
        target = tmp_path / "colour_x4.png"
        target.write_bytes(b"mine")
        result = run(pictures / "colour.png", "-o", tmp_path, "--weights", trained, env=cache)
        assert result.returncode == 0 and "--overwrite" in result.stderr
        assert target.read_bytes() == b"mine"
        result = run(pictures / "colour.png", "-o", tmp_path, "--weights", trained, "--overwrite", env=cache)
        assert result.returncode == 0
        assert pixels(target).shape == (48, 60, 3)
        assert sorted(os.listdir(tmp_path)) == ["colour_x4.png"]

    @pytest.mark.slow
    def test_what_a_killed_run_left_is_removed_from_every_folder_that_it_writes_to(
        self, pictures, trained, cache, tmp_path
    ):
        (tmp_path / "sub").mkdir()
        with subprocess.Popen([sys.executable, "-c", ""]) as ended:
            pass
        left = [f".{ended.pid}-01234567.png", f"sub/.{ended.pid}-89abcdef.png"]
        own = [f".{os.getpid()}-01234567.png", ".hidden.png", "sub/.12-notes.png"]
        for name in left + own:
            (tmp_path / name).write_bytes(b"half")
        result = run(pictures, "-r", "-o", tmp_path, "--weights", trained, env=cache)
        assert result.returncode == 1, result.stderr  # for the bad ones
        hidden = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob(".*")}
        assert hidden == set(own)


class TestFlags:
    @pytest.mark.slow
    def test_format_quality_and_suffix(self, pictures, trained, cache, tmp_path):
        flags = ["--weights", trained, "--suffix", " large", "--format", "jpg", "--quality"]
        sizes = []
        for quality in (20, 95):
            result = run(pictures / "alpha.png", "-o", tmp_path / str(quality), *flags, quality, env=cache)
            assert result.returncode == 0, result.stderr
            assert "the result lacks transparency" in result.stderr
            path = tmp_path / str(quality) / "alpha large.jpg"
            with Image.open(path) as image:
                assert image.format == "JPEG" and image.mode == "RGB"
            sizes.append(path.stat().st_size)
        assert sizes[0] < sizes[1]

    @pytest.mark.slow
    def test_two_pictures_of_one_name_do_not_replace_each_other(self, pictures, trained, cache, tmp_path):
        inputs = [pictures / "colour.png", pictures / "sub", tmp_path / "colour.bmp"]
        Image.fromarray(pixels(pictures / "plain.bmp")).save(inputs[-1])
        result = run(*inputs, "-o", tmp_path / "o", "--format", "png", "--weights", trained, env=cache)
        assert result.returncode == 1
        assert "colour.bmp: its result would be" in result.stderr and "leave out --format" in result.stderr
        assert sorted(os.listdir(tmp_path / "o")) == ["colour_x4.png", "照片 d_x4.png"]

    @pytest.mark.slow
    def test_the_limit_on_pixels_can_be_raised(self, trained, cache, tmp_path):
        Image.new("L", (1100, 1000), 90).save(tmp_path / "large.png")
        result = run(
            tmp_path / "large.png", "-o", tmp_path / "o", "--weights", trained, "--max-megapixels", 1, env=cache
        )
        assert result.returncode == 1 and "1.1 megapixels" in result.stderr

    def test_alpha_without_blend_is_exit_status_2(self, pictures, trained, tmp_path):
        result = run(pictures, "-o", tmp_path / "o", "--weights", trained, "--alpha", "0.5")
        assert result.returncode == 2 and "--blend" in result.stderr
        assert not (tmp_path / "o").exists()

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "flags",
        [
            ["--suffix", "/../x"],
            ["--output", ""],
            ["--quality", "0"],
            ["--tile", "0"],
            ["--alpha", "1.5"],
            ["--deblock", "maybe"],
            ["--format", "gif"],
            ["--engine", "abacus"],
        ],
    )
    def test_wrong_values_are_exit_status_2(self, flags, pictures, trained, tmp_path):
        result = run(pictures, "-o", tmp_path / "o", "--weights", trained, *flags)
        assert result.returncode == 2 and flags[0] in result.stderr
        assert not (tmp_path / "o").exists()


HALVED = ("alpha.png", "deep.png", "grey and alpha.png", "photo.JPG", "scan.tif", "turned.png", "web.webp")


@pytest.fixture(scope="module")
def halves(pictures, trained, cache, tmp_path_factory):
    output = tmp_path_factory.mktemp("halves")
    files = [pictures / kind for kind in HALVED]
    flags = ["--weights", trained, "--precision", "fp32", "--outscale", 2]
    result = run(*files, "-o", output, *flags, env=cache)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("7 pictures, 0.0 megapixels")
    return output


class TestSize:
    @pytest.mark.slow
    def test_twice_is_called_x2(self, halves):
        assert sorted(os.listdir(halves)) == sorted(kind.replace(".", "_x2.") for kind in HALVED)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "name", ["alpha{}.png", "grey and alpha{}.png", "scan{}.tif", "turned{}.png", "web{}.webp"]
    )
    def test_twice_is_matlabs_reduction_of_4_times(self, upscaled, halves, name):
        """Colour to a bit; the alpha is enlarged from the picture's own, which differs by less than it is smoothed."""
        large, half = pixels(upscaled[0] / name.format("_x4")), pixels(halves / name.format("_x2"))
        large, half = (one if one.ndim == 3 else one[..., None] for one in (large, half))
        planes = half.shape[2] - ("alpha" in name)
        reduced = matlab.imresize(large, half.shape[0], half.shape[1])
        assert (2 * half.shape[0], 2 * half.shape[1], half.shape[2]) == large.shape
        np.testing.assert_array_equal(half[..., :planes], reduced[..., :planes])
        assert np.abs(half[..., planes:] - reduced[..., planes:].astype(int)).max(initial=0) < 8

    @pytest.mark.slow
    def test_16_bits_and_the_profile_are_kept(self, upscaled, halves):
        large, half = (
            cv2.imdecode(np.fromfile(folder / name, "uint8"), cv2.IMREAD_UNCHANGED)
            for folder, name in ((upscaled[0], "deep_x4.png"), (halves, "deep_x2.png"))
        )
        assert half.dtype == np.uint16
        np.testing.assert_array_equal(half, matlab.imresize(large, 24, 30))
        with Image.open(halves / "photo_x2.JPG") as image:
            assert image.info["icc_profile"] == SRGB and image.size == (30, 24)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "flags, name, size",
        [
            (["--width", 50], "colour_width50.png", (50, 40)),
            (["--height", 9], "colour_height9.png", (11, 9)),
            (["--longest", 60], "colour_longest60.png", (60, 48)),
            (["--longest", 31, "--suffix", ""], "colour.png", (31, 25)),
            (["--outscale", 1.5, "--format", "jpg"], "colour_x1.5.jpg", (23, 18)),
        ],
    )
    def test_pixels_and_other_factors(self, pictures, trained, cache, tmp_path, flags, name, size):
        result = run(pictures / "colour.png", "-o", tmp_path, "--weights", trained, *flags, env=cache)
        assert result.returncode == 0, result.stderr
        assert os.listdir(tmp_path) == [name]
        with Image.open(tmp_path / name) as image:
            assert image.size == size

    @pytest.mark.slow
    def test_a_picture_too_small_for_the_size_is_named_and_the_others_go_on(self, pictures, trained, cache, tmp_path):
        Image.new("RGB", (20, 10), "teal").save(tmp_path / "larger.png")
        files = [pictures / "colour.png", tmp_path / "larger.png"]
        result = run(*files, "-o", tmp_path / "o", "--weights", trained, "--width", 61, env=cache)
        assert result.returncode == 1
        assert f"error: {files[0]}: its 15x12 pixels can become at most 60x48" in result.stderr
        assert "give --width 60 or less" in result.stderr and "1 of 2 could not be upscaled" in result.stderr
        assert os.listdir(tmp_path / "o") == ["larger_width61.png"]

    @pytest.mark.slow
    def test_results_of_that_size_are_not_upscaled_again(self, pictures, trained, cache, tmp_path):
        Image.new("RGB", (20, 10), "teal").save(tmp_path / "a.png")
        for said in ("1 picture,", "0 pictures,"):
            result = run(tmp_path, "-o", tmp_path, "--weights", trained, "--outscale", 2, env=cache)
            assert result.returncode == 0 and result.stdout.startswith(said)
        assert sorted(os.listdir(tmp_path)) == ["a.png", "a_x2.png"]

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "flags, words",
        [
            (["--outscale", "0"], "above 0 and up to 4"),
            (["--outscale", "4.1"], "above 0 and up to 4"),
            (["--outscale", "nan"], "above 0 and up to 4"),
            (["--width", "0"], "1 or more"),
            (["--longest", "1.5"], "1 or more"),
            (["--width", "10", "--height", "10"], "not allowed with"),
            (["--outscale", "4", "--longest", "10"], "not allowed with"),
        ],
    )
    def test_sizes_that_cannot_be_are_exit_status_2(self, flags, words, pictures, tmp_path):
        result = run(pictures, "-o", tmp_path / "o", "--weights", "none.pdparams", *flags)
        assert result.returncode == 2 and words in result.stderr and flags[-2] in result.stderr


@pytest.mark.slow
def test_the_articles_folder_blended_with_a_file(pictures, trained, g_models, cache, tmp_path):
    flags = ["--weights", g_models, "--blend", trained, "--alpha", 1, "--precision", "fp32"]
    result = run(pictures / "colour.png", "-o", tmp_path, *flags, env=cache)
    assert result.returncode == 0, result.stderr
    plain = run(pictures / "colour.png", "-o", tmp_path / "b", "--weights", trained, "--precision", "fp32", env=cache)
    assert plain.returncode == 0
    np.testing.assert_array_equal(pixels(tmp_path / "colour_x4.png"), pixels(tmp_path / "b" / "colour_x4.png"))


class TestWeights:
    @pytest.fixture
    def bad(self, tmp_path, trained):
        import paddle

        (tmp_path / "damaged.pdparams").write_bytes(trained.read_bytes()[:1000])
        (tmp_path / "hostile.pdparams").write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
        paddle.save(paddle.nn.Linear(2, 3).state_dict(), str(tmp_path / "other.pdparams"))
        (tmp_path / "folder").mkdir()
        return tmp_path

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("nowhere.pdparams", "no such file"),
            ("damaged.pdparams", "damaged"),
            ("hostile.pdparams", "os.system"),
            ("other.pdparams", "expected shape"),
            ("folder", "empty"),
        ],
    )
    def test_what_cannot_be_used_is_one_line_and_exit_status_2(self, name, reason, bad, pictures, cache):
        result = run(pictures, "-o", "o", "--weights", bad / name, cwd=bad, env=cache)
        assert result.returncode == 2
        (line,) = result.stderr.splitlines()
        assert line.startswith("error:") and name in line and reason in line
        assert not (bad / "o").exists() and not (bad / "owned").exists()


class TestDisk:
    @pytest.mark.slow
    def test_an_output_that_is_a_file(self, pictures, trained, cache, tmp_path):
        (tmp_path / "o").write_text("mine")
        result = run(pictures, "-o", tmp_path / "o", "--weights", trained, env=cache)
        assert result.returncode == 2 and "it is a file" in result.stderr
        assert (tmp_path / "o").read_text() == "mine"

    @pytest.mark.slow
    @pytest.mark.skipif(not hasattr(os, "fork"), reason="RLIMIT_FSIZE is POSIX's")
    def test_a_full_disk_is_named_and_leaves_no_half_picture(self, pictures, trained, cache, upscaled, tmp_path):
        import resource

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))

        result = run(pictures / "plain.bmp", "-o", tmp_path, "--weights", trained, env=cache, preexec_fn=limit)
        assert result.returncode == 1
        assert "plain_x4.bmp" in result.stderr and "Traceback" not in result.stderr
        assert os.listdir(tmp_path) == []
