import io
import os
import struct
import sys
import threading
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from common.errors import InputError
from data.pictures.picture import FORMATS, Picture
from data.pictures.reading import read_picture
from data.pictures.writing import check_writable, lost, save_image, to_8_bits, write_picture
from tests.helpers.errors import refusal
from tests.helpers.pictures import STORED, chunk, picture, png_bytes, samples_of_16_bits
from tests.helpers.programs import run_python

ROOT = Path(__file__).resolve().parents[1]
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

# pytest sets aside the filter that data.pictures.picture installs.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def profile_of(space, size=3000):
    """The header of an ICC profile for that colour space (ICC.1, 7.2), then noise."""
    noise = np.random.default_rng(7).integers(0, 256, size - 40, dtype=np.uint8).tobytes()
    return struct.pack(">I", size) + bytes(12) + space + b"XYZ " + bytes(12) + b"acsp" + noise


def samples(dtype, planes, height=9, width=13):
    noise = samples_of_16_bits(max(height, 9), max(width, 13), planes)[:height, :width]
    return noise if dtype == np.uint16 else (noise >> 8).astype(np.uint8)


def as_picture(planes, icc_profile=None):
    """[h,w,1..4] as a Picture."""
    colour = planes[..., :3] if planes.shape[2] > 2 else planes[..., :1]
    return Picture(colour, planes[..., -1] if planes.shape[2] in (2, 4) else None, icc_profile)


def as_planes(read):
    """A Picture as [h,w,1..4]."""
    assert read.alpha is None or read.alpha.dtype == read.colour.dtype and read.alpha.shape == read.colour.shape[:2]
    return read.colour if read.alpha is None else np.concatenate([read.colour, read.alpha[..., None]], axis=2)


def assert_read(path, planes):
    """`path` reads as exactly these samples, in this type."""
    read = as_planes(read_picture(path))
    assert read.dtype == planes.dtype
    np.testing.assert_array_equal(read, planes)


def bgra(planes):
    """RGB to OpenCV's order or back; grey as it is."""
    order = {1: [0], 2: [0, 1], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[planes.shape[2]]
    return np.ascontiguousarray(planes[..., order])


def png_of(planes, extra=b"", interlaced=False):
    """A PNG by hand of uint8 or uint16 [h,w,1..4]."""
    height, width, count = planes.shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[count]
    stored = planes.astype(planes.dtype.newbyteorder(">"))
    content = png_bytes(width, height, 8 * planes.itemsize, colour_type, [row.tobytes() for row in stored], extra)
    if not interlaced:
        return content
    # PNG 8.2, Adam7: x0, y0, dx, dy of the seven passes.
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rows = [row.tobytes() for x, y, dx, dy in passes for row in stored[y::dy, x::dx] if row.size]
    header = struct.pack(">IIBBBBB", width, height, 8 * planes.itemsize, colour_type, 0, 0, 1)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return content[:8] + chunk(b"IHDR", header) + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def exif_chunk(orientation):
    tag = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    return chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\x01" + tag + b"\0\0\0\0")


def tiff_of(path, planes, compression=None, order="<", **settings):
    count = planes.shape[2]
    tifffile.imwrite(
        path,
        planes if count > 1 else planes[..., 0],
        photometric=settings.pop("photometric", "rgb" if count > 2 else "minisblack"),
        extrasamples=settings.pop("extrasamples", ["unassalpha"] if count in (2, 4) else None),
        planarconfig="contig" if count > 1 else None,
        compression=compression,
        byteorder=order,
        **settings,
    )


every_sample = pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
every_layout = pytest.mark.parametrize("planes", [1, 2, 3, 4])


class TestReadSamples:
    @every_sample
    @every_layout
    @pytest.mark.parametrize("interlaced", [False, True])
    def test_png(self, tmp_path, dtype, planes, interlaced):
        (tmp_path / "a.png").write_bytes(png_of(samples(dtype, planes), interlaced=interlaced))
        assert_read(tmp_path / "a.png", samples(dtype, planes))

    @every_sample
    @pytest.mark.parametrize("planes", [1, 3, 4])
    def test_png_of_opencv(self, tmp_path, dtype, planes):
        cv2.imwrite(str(tmp_path / "a.png"), bgra(samples(dtype, planes)))
        assert_read(tmp_path / "a.png", samples(dtype, planes))

    @every_sample
    @every_layout
    @pytest.mark.parametrize("compression", [None, "zlib"])
    @pytest.mark.parametrize("order", ["<", ">"])
    def test_tiff(self, tmp_path, dtype, planes, compression, order):
        tiff_of(tmp_path / "a.tif", samples(dtype, planes), compression, order, rowsperstrip=2)
        assert_read(tmp_path / "a.tif", samples(dtype, planes))

    @every_sample
    @pytest.mark.parametrize("planes", [1, 3])
    def test_tiff_of_opencv_in_lzw(self, tmp_path, dtype, planes):
        cv2.imwrite(str(tmp_path / "a.tif"), bgra(samples(dtype, planes)))
        assert_read(tmp_path / "a.tif", samples(dtype, planes))

    @pytest.mark.parametrize("compression", [None, "zlib"])
    def test_8_bit_tiff_plane_by_plane(self, tmp_path, compression):
        planes = samples(np.uint8, 3).transpose(2, 0, 1)
        settings = {"photometric": "rgb", "planarconfig": "separate", "compression": compression}
        tifffile.imwrite(tmp_path / "a.tif", planes, **settings)
        assert_read(tmp_path / "a.tif", samples(np.uint8, 3))

    @every_sample
    def test_tiff_where_zero_is_white(self, tmp_path, dtype):
        tiff_of(tmp_path / "a.tif", samples(dtype, 1), photometric="miniswhite")
        assert_read(tmp_path / "a.tif", np.iinfo(dtype).max - samples(dtype, 1))

    @pytest.mark.parametrize("compression", [None, "zlib"])
    @pytest.mark.parametrize("order", ["<", ">"])
    def test_16_bit_tiff_multiplied_by_its_alpha(self, tmp_path, compression, order):
        straight = samples(np.uint16, 4)
        share = straight[..., 3:] / 65535
        stored = np.concatenate([np.round(straight[..., :3] * share), straight[..., 3:]], axis=2).astype(np.uint16)
        tiff_of(tmp_path / "a.tif", stored, compression, order, extrasamples=["assocalpha"])
        read = read_picture(tmp_path / "a.tif")
        np.testing.assert_array_equal(read.alpha, straight[..., 3])
        # Half a step was rounded off when it was stored, another is when it is read.
        wrong = np.abs(read.colour.astype(float) - straight[..., :3])
        assert (wrong <= 0.5 / np.maximum(share, 1e-9) + 0.5).all()

    @pytest.mark.skipif(int(Image.__version__.split(".")[0]) < 11, reason="Pillow 10 refuses some")
    @pytest.mark.parametrize("compression", [None, "zlib"])
    def test_16_bit_tiff_with_a_sample_of_no_meaning(self, tmp_path, compression):
        tiff_of(tmp_path / "a.tif", samples(np.uint16, 4), compression, extrasamples=["unspecified"])
        assert_read(tmp_path / "a.tif", samples(np.uint16, 4)[..., :3])

    @pytest.mark.parametrize("planes", [1, 3])
    def test_bmp(self, tmp_path, planes):
        cv2.imwrite(str(tmp_path / "a.bmp"), bgra(samples(np.uint8, planes)))
        assert_read(tmp_path / "a.bmp", samples(np.uint8, planes))

    def test_bmp_that_says_where_its_alpha_is(self, tmp_path):
        # BITMAPV4HEADER: 32 bits a pixel, "bit fields", the masks of red, green, blue and alpha; rows from the top.
        pixels = bgra(samples(np.uint8, 4)).tobytes()
        header = struct.pack("<IiiHHIIiiII", 108, 13, -9, 1, 32, 3, len(pixels), 0, 0, 0, 0)
        header += struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + bytes(52)
        content = b"BM" + struct.pack("<IHHI", 122 + len(pixels), 0, 0, 122) + header + pixels
        (tmp_path / "a.bmp").write_bytes(content)
        assert_read(tmp_path / "a.bmp", samples(np.uint8, 4))

    @pytest.mark.parametrize("planes", [3, 4])
    def test_webp(self, tmp_path, planes):
        drawn = samples(np.uint8, planes)
        drawn[..., 3:] |= 1  # OpenCV does not keep the colours of what is transparent
        cv2.imwrite(str(tmp_path / "a.webp"), bgra(drawn), [cv2.IMWRITE_WEBP_QUALITY, 101])
        assert_read(tmp_path / "a.webp", drawn)

    def test_jpeg(self, tmp_path):
        for name, drawn in (("grey.jpg", picture()[..., :1]), ("rgb.jpg", picture())):
            cv2.imwrite(str(tmp_path / name), bgra(drawn))
            expected = cv2.imread(str(tmp_path / name), cv2.IMREAD_UNCHANGED).reshape(drawn.shape)
            read = read_picture(tmp_path / name)
            assert read.colour.shape == drawn.shape and read.alpha is None
            assert np.abs(read.colour.astype(int) - bgra(expected)).max() <= 2

    def test_1_bit(self, tmp_path):
        (tmp_path / "a.png").write_bytes(png_bytes(10, 1, 1, 0, [b"\xa5\x40"]))
        assert_read(tmp_path / "a.png", np.array([[255, 0, 255, 0, 0, 255, 0, 255, 0, 255]], np.uint8)[..., None])

    def test_cmyk_jpeg_is_rgb_without_its_profile(self, tmp_path):
        image = Image.new("CMYK", (16, 16), (200, 100, 30, 0))
        image.save(tmp_path / "a.jpg", icc_profile=profile_of(b"CMYK"))
        read = read_picture(tmp_path / "a.jpg")
        assert np.abs(read.colour.astype(int) - [55, 155, 225]).max() <= 2
        assert (read.alpha, read.icc_profile) == (None, None)

    def test_arrays_are_ones_own(self, tmp_path):
        for planes in (1, 2, 3, 4):
            (tmp_path / "a.png").write_bytes(png_of(samples(np.uint8, planes)))
            read = read_picture(tmp_path / "a.png")
            for array in [read.colour] + ([] if read.alpha is None else [read.alpha]):
                assert array.flags.writeable and array.flags.c_contiguous


class TestReadTransparency:
    """What a PNG declares transparent in its tRNS chunk."""

    def test_palette(self, tmp_path):
        palette = chunk(b"PLTE", bytes([10, 20, 30, 200, 100, 50, 7, 8, 9])) + chunk(b"tRNS", bytes([0, 128]))
        (tmp_path / "a.png").write_bytes(png_bytes(4, 1, 8, 3, [bytes([0, 1, 2, 0])], palette))
        colours = [[10, 20, 30, 0], [200, 100, 50, 128], [7, 8, 9, 255], [10, 20, 30, 0]]
        assert_read(tmp_path / "a.png", np.array([colours], np.uint8))

    def test_palette_of_one_transparent_colour(self, tmp_path):
        palette = chunk(b"PLTE", bytes([10, 20, 30, 200, 100, 50])) + chunk(b"tRNS", bytes([255, 0]))
        (tmp_path / "a.png").write_bytes(png_bytes(8, 1, 1, 3, [b"\x0f"], palette))
        colours = [[10, 20, 30, 255]] * 4 + [[200, 100, 50, 0]] * 4
        assert_read(tmp_path / "a.png", np.array([colours], np.uint8))

    def test_palette_without_is_rgb(self, tmp_path):
        palette = chunk(b"PLTE", bytes([9, 9, 9, 77, 77, 77]))
        (tmp_path / "a.png").write_bytes(png_bytes(8, 1, 1, 3, [b"\x0f"], palette))
        assert_read(tmp_path / "a.png", np.array([[[9] * 3] * 4 + [[77] * 3] * 4], np.uint8))

    # The fourth key has bits above the picture's, which do not count (PNG, 11.3.2.1).
    @pytest.mark.parametrize(
        "depth, row, key, grey",
        [
            (1, b"\xa0", 1, [255, 0, 255, 0]),
            (2, b"\x1b", 2, [0, 85, 170, 255]),
            (4, b"\x01\x8f", 8, [0, 17, 136, 255]),
            (8, b"\x00\x05\xff\x05", 0xA305, [0, 5, 255, 5]),
            (16, struct.pack(">4H", 0, 777, 65535, 778), 777, [0, 777, 65535, 778]),
        ],
    )
    def test_grey(self, tmp_path, depth, row, key, grey):
        content = png_bytes(4, 1, depth, 0, [row], chunk(b"tRNS", struct.pack(">H", key)))
        (tmp_path / "a.png").write_bytes(content)
        grey = np.array([grey], np.uint16 if depth == 16 else np.uint8)
        opaque = np.iinfo(grey.dtype).max
        at_key = {1: grey == 255, 2: grey == 170, 4: grey == 136, 8: grey == 5, 16: grey == 777}[depth]
        expected = np.stack([grey, np.where(at_key, 0, opaque)], axis=2).astype(grey.dtype)
        assert 0 < at_key.sum() < 4
        assert_read(tmp_path / "a.png", expected)

    @every_sample
    def test_rgb(self, tmp_path, dtype):
        drawn = samples(dtype, 3)
        drawn[2, 3] = drawn[5, 6] = drawn[0, 1]
        drawn[7, 7] = [*drawn[0, 1, :2], drawn[0, 1, 2] ^ 1]
        key = chunk(b"tRNS", struct.pack(">3H", *map(int, drawn[0, 1])))
        (tmp_path / "a.png").write_bytes(png_of(drawn, key))
        alpha = np.full((9, 13, 1), np.iinfo(dtype).max, dtype)
        alpha[0, 1] = alpha[2, 3] = alpha[5, 6] = 0
        assert_read(tmp_path / "a.png", np.concatenate([drawn, alpha], axis=2))


class TestReadOrientation:
    @every_sample
    @every_layout
    @pytest.mark.parametrize("orientation", STORED)
    def test_png(self, tmp_path, dtype, planes, orientation):
        stored = STORED[orientation](samples(dtype, planes))
        (tmp_path / "a.png").write_bytes(png_of(stored, exif_chunk(orientation)))
        assert_read(tmp_path / "a.png", samples(dtype, planes))

    @pytest.mark.parametrize("planes", [1, 2, 4])
    @pytest.mark.parametrize("compression", [None, "zlib"])
    @pytest.mark.parametrize("orientation", STORED)
    def test_16_bit_tiff(self, tmp_path, planes, compression, orientation):
        tag = (0x0112, 3, 1, orientation, True)
        tiff_of(tmp_path / "a.tif", STORED[orientation](samples(np.uint16, planes)), compression, extratags=[tag])
        assert_read(tmp_path / "a.tif", samples(np.uint16, planes))

    @pytest.mark.parametrize("orientation", STORED)
    def test_jpeg(self, tmp_path, orientation):
        exif = Image.Exif()
        exif[0x0112] = orientation
        for drawn in (picture(), picture()[..., 0]):
            stored = STORED[orientation](drawn.reshape(*drawn.shape[:2], -1))
            image = Image.fromarray(np.ascontiguousarray(stored[..., 0] if drawn.ndim == 2 else stored))
            image.save(tmp_path / "a.jpg", exif=exif, quality=95)
            read = read_picture(tmp_path / "a.jpg").colour
            assert np.abs(read.astype(int) - drawn.reshape(read.shape)).max() <= 12


class TestReadProfile:
    def save(self, path, mode, profile):
        compression = {"compression": "tiff_lzw"} if path.suffix == ".tif" else {}
        Image.new(mode, (5, 4)).save(path, icc_profile=profile, **compression)

    @pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif"])
    def test_rgb(self, tmp_path, name):
        self.save(tmp_path / name, "RGB", SRGB)
        assert read_picture(tmp_path / name).icc_profile == SRGB

    @pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
    def test_grey(self, tmp_path, name):
        self.save(tmp_path / name, "L", profile_of(b"GRAY", size=200_000))
        assert read_picture(tmp_path / name).icc_profile == profile_of(b"GRAY", size=200_000)

    @pytest.mark.parametrize("planes", [1, 2, 3, 4])
    def test_16_bits(self, tmp_path, planes):
        profile = profile_of(b"RGB " if planes > 2 else b"GRAY")
        extra = chunk(b"iCCP", b"any name\0\0" + zlib.compress(profile))
        (tmp_path / "a.png").write_bytes(png_of(samples(np.uint16, planes), extra))
        assert read_picture(tmp_path / "a.png").icc_profile == profile
        tiff_of(tmp_path / "a.tif", samples(np.uint16, planes), extratags=[(34675, 7, len(profile), profile, True)])
        assert read_picture(tmp_path / "a.tif").icc_profile == profile

    @pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
    @pytest.mark.parametrize(
        "mode, profile",
        [
            ("L", SRGB),
            ("RGB", profile_of(b"GRAY")),
            ("RGB", profile_of(b"CMYK")),
            ("RGB", profile_of(b"Lab ")),
            ("RGB", b"absurd"),
            ("L", b"\0"),
        ],
    )
    def test_of_another_colour_space_or_damaged_is_left_out(self, tmp_path, name, mode, profile):
        self.save(tmp_path / name, mode, profile)
        read = read_picture(tmp_path / name)
        assert read.icc_profile is None and not read.colour.any()

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"name",
            b"name\0",
            b"name\0\7" + zlib.compress(SRGB),
            b"name\0\0garbage",
            b"name\0\0" + zlib.compress(bytes(5_000_000)),
        ],
    )
    def test_png_chunk_that_pillow_stumbles_over(self, tmp_path, content):
        (tmp_path / "a.png").write_bytes(png_of(samples(np.uint16, 3), chunk(b"iCCP", content)))
        assert_read(tmp_path / "a.png", samples(np.uint16, 3))
        # Pillow 10 does not look at the method of compression, the 7 above, and finds the profile.
        assert read_picture(tmp_path / "a.png").icc_profile in (None, SRGB)

    def test_png_chunk_with_a_wrong_checksum(self, tmp_path):
        wrong = chunk(b"iCCP", b"name\0\0" + zlib.compress(SRGB))[:-4] + b"\0\0\0\0"
        (tmp_path / "a.png").write_bytes(png_of(samples(np.uint8, 3), wrong))
        assert_read(tmp_path / "a.png", samples(np.uint8, 3))

    def test_tiff_tag_of_another_type(self, tmp_path):
        tiff_of(tmp_path / "a.tif", samples(np.uint8, 3), extratags=[(34675, 3, 20, [7] * 20, True)])
        assert_read(tmp_path / "a.tif", samples(np.uint8, 3))
        assert read_picture(tmp_path / "a.tif").icc_profile is None


class TestReadRefused:
    def test_not_there_folder_empty(self, tmp_path):
        assert "is not there" in refusal(read_picture, tmp_path / "a.png")
        assert "is not a file" in refusal(read_picture, tmp_path)
        (tmp_path / "a.png").touch()
        assert "the file is empty; replace or remove it" in refusal(read_picture, tmp_path / "a.png")

    @pytest.mark.parametrize(
        "content", [b"<html>Not found</html>\n", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\x89PNG\r\n\x1a\n"]
    )
    def test_no_picture(self, tmp_path, content):
        (tmp_path / "a.png").write_bytes(content)
        assert "it is not a PNG, JPEG, BMP, WebP or TIFF picture" in refusal(read_picture, tmp_path / "a.png")

    def test_a_format_that_nobody_named(self, tmp_path):
        Image.fromarray(picture()).save(tmp_path / "a.png", format="GIF")
        assert "it is not a PNG" in refusal(read_picture, tmp_path / "a.png")

    @pytest.mark.parametrize("name", ["a.png", "deep.png", "a.jpg", "a.bmp", "a.webp", "a.tif", "deep.tif"])
    def test_truncated(self, tmp_path, name):
        drawn = samples(np.uint16, 4, 40, 50) if name.startswith("deep") else bgra(picture())
        cv2.imwrite(str(tmp_path / name), drawn)
        content = (tmp_path / name).read_bytes()
        for share in (0.3, 0.6, 0.9):
            (tmp_path / name).write_bytes(content[: int(len(content) * share)])
            assert "cannot be read as a picture" in refusal(read_picture, tmp_path / name)

    @pytest.mark.parametrize("size", [(0, 4), (4, 0), (0, 0)])
    def test_of_no_size(self, tmp_path, size):
        (tmp_path / "a.png").write_bytes(png_bytes(*size, 8, 2, [bytes(12)]))
        assert "cannot be read as a picture" in refusal(read_picture, tmp_path / "a.png")

    @pytest.mark.parametrize("planes", [2, 4])
    def test_any_damage_is_an_input_error_or_a_picture(self, tmp_path, planes):
        random = np.random.default_rng(1)
        extra = chunk(b"iCCP", b"name\0\0" + zlib.compress(SRGB)) + exif_chunk(6)
        (tmp_path / "a.png").write_bytes(png_of(samples(np.uint16, planes), extra))
        tiff_of(tmp_path / "a.tif", samples(np.uint16, planes), "zlib")
        for name in ("a.png", "a.tif"):
            content = np.frombuffer((tmp_path / name).read_bytes(), np.uint8)
            for _ in range(100):
                changed = content.copy()
                places = random.integers(0, random.choice([60, len(content)]), size=2)
                changed[places] = random.integers(0, 256, size=2)
                (tmp_path / "damaged").write_bytes(changed.tobytes())
                try:
                    assert as_planes(read_picture(tmp_path / "damaged")).size
                except InputError as error:
                    assert str(error).startswith(f"{tmp_path / 'damaged'} ")


class TestMaxPixels:
    def test_by_the_header_before_decoding(self, tmp_path):
        (tmp_path / "a.png").write_bytes(png_bytes(100_000, 100_000, 8, 2, []))
        message = refusal(read_picture, tmp_path / "a.png")
        assert "has 100000x100000 pixels" in message
        assert "the limit is 50 megapixels" in message and "--max-megapixels" in message

    @pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.webp", "a.tif", "packed.tif"])
    def test_up_to_the_limit_itself_even_above_pillows(self, tmp_path, name, monkeypatch):
        compression = {"compression": "tiff_lzw"} if name == "packed.tif" else {}
        Image.new("RGB", (20, 30)).save(tmp_path / name, **compression)
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
        assert read_picture(tmp_path / name).colour.shape == (30, 20, 3)
        assert read_picture(tmp_path / name, max_pixels=600).colour.shape == (30, 20, 3)
        assert "has 20x30 pixels (0.0006 megapixels)" in refusal(read_picture, tmp_path / name, max_pixels=599)
        assert Image.MAX_IMAGE_PIXELS == 10
        assert "600 pixels" in refusal(read_picture, tmp_path / name, max_pixels=None)

    def test_two_threads_leave_pillows_limit_as_it_was(self, tmp_path, monkeypatch):
        Image.new("RGB", (20, 30)).save(tmp_path / "a.png")
        read = []
        first, second = (
            threading.Thread(target=lambda: read.append(read_picture(tmp_path / "a.png"))) for _ in range(2)
        )
        first_opens, second_opens, go_on = threading.Event(), threading.Event(), threading.Event()
        pillows_open = Image.open

        def slow_open(*arguments, **settings):
            if threading.current_thread() is first:
                first_opens.set()
                go_on.wait(10)
            else:
                second_opens.set()
                first.join(10)
            return pillows_open(*arguments, **settings)

        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
        monkeypatch.setattr(Image, "open", slow_open)
        first.start()
        first_opens.wait(10)
        second.start()
        assert second_opens.wait(10)  # both at once
        go_on.set()
        second.join(10)
        assert len(read) == 2 and Image.MAX_IMAGE_PIXELS == 10

    def test_16_bits_above_pillows_limit(self, tmp_path, monkeypatch):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
        (tmp_path / "a.png").write_bytes(png_of(samples(np.uint16, 4)))
        assert_read(tmp_path / "a.png", samples(np.uint16, 4))


class TestWriteLossless:
    @pytest.mark.slow
    @every_sample
    @every_layout
    @pytest.mark.parametrize("size", [(9, 13), (1, 1), (1, 400), (400, 1), (700, 900)])
    def test_png(self, tmp_path, dtype, planes, size):
        drawn = samples(dtype, planes, *size)
        write_picture(tmp_path / "a.png", as_picture(drawn))
        content = (tmp_path / "a.png").read_bytes()
        read = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
        read = read.reshape(*size, -1)
        # OpenCV reads grey with alpha as colour with alpha.
        np.testing.assert_array_equal(bgra(read), drawn[..., [0, 0, 0, 1]] if planes == 2 else drawn)
        assert (read.dtype, content[24]) == (dtype, 8 * drawn.itemsize)
        assert content[25] == {1: 0, 2: 4, 3: 2, 4: 6}[planes]
        with Image.open(io.BytesIO(content)) as image:
            image.load()  # which checks every checksum
        assert_read(tmp_path / "a.png", drawn)

    @pytest.mark.slow
    @every_sample
    @every_layout
    @pytest.mark.parametrize("size", [(9, 13), (1, 1), (1, 400), (400, 1), (700, 900)])
    def test_tiff(self, tmp_path, dtype, planes, size):
        drawn = samples(dtype, planes, *size)
        write_picture(tmp_path / "a.tif", as_picture(drawn))
        with tifffile.TiffFile(tmp_path / "a.tif") as file:
            page = file.pages[0]
            assert page.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
            assert page.extrasamples == ((2,) if planes in (2, 4) else ())  # 2: not multiplied into the colours
            read = page.asarray().reshape(drawn.shape)
        assert read.dtype == dtype
        np.testing.assert_array_equal(read, drawn)
        assert_read(tmp_path / "a.tif", drawn)
        if planes in (1, 3):
            read = cv2.imread(str(tmp_path / "a.tif"), cv2.IMREAD_UNCHANGED).reshape(drawn.shape)
            np.testing.assert_array_equal(bgra(read), drawn)

    @every_layout
    def test_webp_of_quality_100(self, tmp_path, planes):
        drawn = samples(np.uint8, planes)
        write_picture(tmp_path / "a.webp", as_picture(drawn), quality=100)
        read = bgra(cv2.imdecode(np.fromfile(tmp_path / "a.webp", np.uint8), cv2.IMREAD_UNCHANGED))
        np.testing.assert_array_equal(read, drawn[..., {1: [0, 0, 0], 2: [0, 0, 0, 1]}.get(planes, slice(None))])
        assert_read(tmp_path / "a.webp", read)

    @every_layout
    def test_bmp_without_alpha(self, tmp_path, planes):
        drawn = samples(np.uint8, planes)
        write_picture(tmp_path / "a.bmp", as_picture(drawn))
        read = cv2.imread(str(tmp_path / "a.bmp"), cv2.IMREAD_UNCHANGED)
        expected = as_picture(drawn).colour
        np.testing.assert_array_equal(bgra(read.reshape(expected.shape)), expected)
        assert_read(tmp_path / "a.bmp", expected)

    def test_views_and_memory_maps(self, tmp_path):
        drawn = samples(np.uint16, 4)[::-2, 1:9].transpose(1, 0, 2)
        for name in ("a.png", "a.tif"):
            write_picture(tmp_path / name, as_picture(drawn))
            assert_read(tmp_path / name, drawn)
        mapped = np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.uint8, (9, 13, 3))
        mapped[:] = samples(np.uint8, 3)
        for name in ("b.png", "b.bmp"):
            write_picture(tmp_path / name, Picture(mapped))
            assert_read(tmp_path / name, samples(np.uint8, 3))

    def test_png_is_about_as_small_as_opencvs(self, tmp_path):
        drawn = cv2.resize(picture(), (400, 300), interpolation=cv2.INTER_CUBIC)
        noise = np.random.default_rng(0).normal(0, 2, drawn.shape)
        drawn = np.clip(drawn + noise, 0, 255).astype(np.uint8)
        write_picture(tmp_path / "a.png", Picture(drawn))
        assert (tmp_path / "a.png").stat().st_size < 1.1 * len(cv2.imencode(".png", drawn)[1])


class TestWriteLossy:
    @pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.webp"])
    @pytest.mark.parametrize("planes", [1, 3])
    def test_near(self, tmp_path, name, planes):
        drawn = picture()[..., :planes]
        write_picture(tmp_path / name, Picture(drawn))
        read = cv2.imdecode(np.fromfile(tmp_path / name, np.uint8), cv2.IMREAD_UNCHANGED)
        assert read.shape[2:] == ((3,) if planes == 3 or name == "a.webp" else ())  # JPEG of grey is grey
        assert np.abs(bgra(read.reshape(26, 37, -1)).astype(int) - drawn).max() <= 12

    def test_webp_keeps_alpha_exactly(self, tmp_path):
        drawn = np.concatenate([picture(), samples(np.uint8, 1, 26, 37)], axis=2)
        write_picture(tmp_path / "a.webp", as_picture(drawn), quality=80)
        read = cv2.imdecode(np.fromfile(tmp_path / "a.webp", np.uint8), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(read[..., 3], drawn[..., 3])

    @pytest.mark.parametrize("name", ["jpg", "webp"])
    def test_quality(self, tmp_path, name):
        noise = Picture(samples(np.uint8, 3, 64, 64))
        for quality in (20, 80, 95, 100):
            write_picture(tmp_path / f"{quality}.{name}", noise, quality=quality)
        write_picture(tmp_path / f"default.{name}", noise)
        sizes = [(tmp_path / f"{quality}.{name}").stat().st_size for quality in (20, 80, 95, 100)]
        assert sizes == sorted(set(sizes))
        assert (tmp_path / f"default.{name}").read_bytes() == (tmp_path / f"95.{name}").read_bytes()

    def test_jpeg_keeps_colour_at_full_resolution(self, tmp_path):
        stripes = np.full((64, 64, 3), (200, 60, 60), np.uint8)
        stripes[:, ::2] = (60, 60, 200)
        write_picture(tmp_path / "a.jpg", Picture(stripes))
        read = bgra(cv2.imread(str(tmp_path / "a.jpg")))
        assert np.abs(read.astype(int) - stripes).max() < 20

    @pytest.mark.parametrize("name", ["a.bmp", "a.webp", "a.jpg"])
    def test_16_bits_are_rounded_to_8(self, tmp_path, name):
        deep = samples(np.uint16, 4, 32, 32)
        rounded = np.round(deep / 257).astype(np.uint8)
        write_picture(tmp_path / name, as_picture(deep), quality=100)
        write_picture(tmp_path / f"8 {name}", as_picture(rounded), quality=100)
        assert (tmp_path / name).read_bytes() == (tmp_path / f"8 {name}").read_bytes()

    def test_rounding_is_to_the_nearest_level_over_all_samples(self):
        everything = np.arange(65536, dtype=np.uint16).reshape(-1, 1, 1)
        np.testing.assert_array_equal(to_8_bits(everything), np.round(everything / 257))
        tall = np.tile(everything, (40, 1, 1))  # of several blocks
        np.testing.assert_array_equal(to_8_bits(tall), np.round(tall / 257))


class TestWriteProfile:
    @pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif"])
    @every_sample
    def test_rgb(self, tmp_path, name, dtype):
        write_picture(tmp_path / name, as_picture(samples(dtype, 3), SRGB))
        with Image.open(tmp_path / name) as image:
            image.load()
            assert image.info["icc_profile"] == SRGB
        assert read_picture(tmp_path / name).icc_profile == SRGB

    @pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
    @pytest.mark.parametrize("planes", [1, 2])
    def test_grey(self, tmp_path, name, planes):
        profile = profile_of(b"GRAY", size=200_000)
        write_picture(tmp_path / name, as_picture(samples(np.uint8, planes), profile))
        assert read_picture(tmp_path / name).icc_profile == profile

    @pytest.mark.parametrize("name, planes", [("a.bmp", 1), ("a.bmp", 3), ("a.webp", 1)])
    def test_where_it_cannot_be_kept(self, tmp_path, name, planes):
        drawn = samples(np.uint8, planes)
        write_picture(tmp_path / name, as_picture(drawn, profile_of(b"RGB " if planes == 3 else b"GRAY")))
        with Image.open(tmp_path / name) as image:
            assert "icc_profile" not in image.info


class TestLost:
    def test_by_format(self):
        deep = as_picture(samples(np.uint16, 4), SRGB)
        assert lost("a.png", deep) == lost("a.TIFF", deep) == lost(Path("a.tif"), deep) == []
        assert lost("a.jpg", deep) == lost("a.jpeg", deep) == ["transparency", "16-bit depth"]
        assert lost("a.webp", deep) == ["16-bit depth"]
        assert lost("a.bmp", deep) == ["transparency", "16-bit depth", "ICC profile"]
        grey = as_picture(samples(np.uint8, 1), profile_of(b"GRAY"))
        assert lost("a.jpg", grey) == []
        assert lost("a.webp", grey) == ["ICC profile"]

    @pytest.mark.parametrize("ending", FORMATS)
    def test_nothing_of_8_bits_without_profile(self, ending):
        assert lost(f"a{ending}", as_picture(samples(np.uint8, 3))) == []

    def test_opaque_alpha_is_none(self):
        drawn = samples(np.uint16, 4)
        drawn[..., 3] = 65535
        assert lost("a.jpg", as_picture(drawn)) == ["16-bit depth"]
        drawn[3, 3, 3] = 65534
        assert lost("a.jpg", as_picture(drawn)) == ["transparency", "16-bit depth"]

    def test_other_ending(self):
        with pytest.raises(InputError, match="a.gif cannot be written: its name must end in"):
            lost("a.gif", as_picture(samples(np.uint8, 3)))


class TestCheckWritable:
    def test_sides(self, tmp_path):
        for name, side in (("a.jpg", 65500), ("a.webp", 16383)):
            check_writable(tmp_path / name, side, side)
            for size in ((side + 1, 1), (1, side + 1)):
                message = f"{name} cannot be written: it has {size[0]}x{size[1]} pixels, .* ends at {side} .*png"
                with pytest.raises(InputError, match=message):
                    check_writable(tmp_path / name, *size)
        check_writable(tmp_path / "a.png", 100_000, 100_000)
        check_writable(tmp_path / "a.tif", 100_000, 100_000)
        with pytest.raises(InputError, match="BMP ends at"):
            check_writable(tmp_path / "a.bmp", 40_000, 40_000)

    def test_the_sides_are_the_libraries(self, tmp_path):
        write_picture(tmp_path / "a.webp", Picture(np.zeros((1, 16383, 3), np.uint8)))
        write_picture(tmp_path / "a.jpg", Picture(np.zeros((65500, 1, 3), np.uint8)))
        with pytest.raises(
            InputError, match=r"b.webp .* the WebP encoder refuses it \(encoding error 5.*\); use .*png"
        ):
            save_image(tmp_path / "b.webp", Image.new("RGB", (16384, 1)), "WebP")
        assert sorted(os.listdir(tmp_path)) == ["a.jpg", "a.webp"]

    @pytest.mark.parametrize("name", ["a.gif", "a", ".png", "a.png.part"])
    def test_other_endings(self, tmp_path, name):
        with pytest.raises(InputError, match=r"its name must end in .*\.png"):
            check_writable(tmp_path / name, 1, 1)

    def test_folder(self, tmp_path):
        with pytest.raises(InputError, match="the folder .*none is not there; create it first"):
            check_writable(tmp_path / "none" / "a.png", 1, 1)

    def test_is_asked_before_writing(self, tmp_path):
        for name, shape in (("a.webp", (1, 16384, 3)), ("a.gif", (1, 1, 3)), ("none/a.png", (1, 1, 3))):
            with pytest.raises(InputError):
                write_picture(tmp_path / name, Picture(np.zeros(shape, np.uint8)))
        assert os.listdir(tmp_path) == []


class TestWriteWhole:
    @pytest.mark.parametrize("ending", FORMATS)
    def test_spaces_and_other_alphabets(self, tmp_path, ending):
        path = tmp_path / "ein Ordner ü" / f"图片 1{ending}"
        path.parent.mkdir()
        for _ in range(2):  # the second replaces the first
            write_picture(str(path), as_picture(samples(np.uint8, 3)), quality=100)
        assert os.listdir(path.parent) == [path.name]
        assert read_picture(str(path)).colour.shape == (9, 13, 3)

    @pytest.mark.slow
    @pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.webp", "a.tif"])
    @every_sample
    def test_no_room_keeps_what_was_there(self, tmp_path, name, dtype):
        pytest.importorskip("resource", reason="limits a file's size, as a full disk would")
        write_picture(tmp_path / name, as_picture(samples(dtype, 3)))
        before = (tmp_path / name).read_bytes()
        program = (
            "import resource, sys, numpy as np; from data.pictures.picture import Picture\n"
            "from data.pictures.writing import write_picture\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
            # A JPEG of this size is written at once, of which the disk takes a part.
            "noise = np.random.default_rng(0).integers(0, 256, (150, 150, 3), dtype=np.uint8).astype(sys.argv[2])\n"
            "try:\n    write_picture(sys.argv[1], Picture(noise * 255))\n"
            "except OSError as error:\n    print(error.filename, error.strerror)\n"
        )
        done = run_python(program, tmp_path / name, np.dtype(dtype).name)
        assert done.stdout.startswith(f"{tmp_path / name} cannot be written (File too large)") and done.stderr == ""
        assert os.listdir(tmp_path) == [name]
        assert (tmp_path / name).read_bytes() == before

    @pytest.mark.parametrize(
        "wrong",
        [
            Picture(picture() / 255),
            Picture(picture()[..., 0]),
            Picture(picture()[..., :2]),
            Picture(picture()[:0]),
            Picture(picture().astype(">u2")),
            Picture(picture(), picture()),
            Picture(picture(), picture()[:-1, :, 0]),
            Picture(picture(), picture()[..., 0].astype(np.uint16)),
        ],
    )
    def test_other_arrays(self, tmp_path, wrong):
        with pytest.raises(ValueError, match="expected (colour|alpha) in"):
            write_picture(tmp_path / "a.png", wrong)
        assert os.listdir(tmp_path) == []

    @pytest.mark.parametrize("quality", [0, 101])
    def test_other_qualities(self, tmp_path, quality):
        with pytest.raises(ValueError, match="quality of 1 to 100"):
            write_picture(tmp_path / "a.jpg", Picture(picture()), quality=quality)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
@pytest.mark.parametrize(
    "name, bytes_a_pixel", [("a.png", 0), ("a.tif", 0), ("a.jpg", 4), ("a.bmp", 4), ("a.webp", 12)]
)
def test_peak_memory_of_writing(tmp_path, name, bytes_a_pixel):
    program = (
        "import re, sys, numpy as np; from data.pictures.picture import Picture\n"
        "from data.pictures.writing import write_picture\n"
        "def peak():\n    return 1024 * int(re.search(r'VmHWM:\\s*(\\d+) kB', open('/proc/self/status').read())[1])\n"
        "write_picture(sys.argv[1], Picture(np.ones((100, 100, 3), np.uint8)))\n"
        "large = Picture(np.ones((3000, 5000, 3), np.uint8))\n"
        "before = peak()\n"
        "write_picture(sys.argv[1], large)\n"
        "print(peak() - before)\n"
    )
    done = run_python(program, tmp_path / name)
    assert done.stderr == ""
    spare = int(done.stdout) - 15_000_000 * bytes_a_pixel
    assert spare < 20_000_000  # less than half a copy of the picture


def test_a_tiff_above_4_gigabytes_has_offsets_of_64_bits(tmp_path, monkeypatch):
    monkeypatch.setattr("data.pictures.writing._LARGEST_CLASSIC_TIFF", 300)
    write_picture(tmp_path / "a.tif", as_picture(samples(np.uint8, 3)))
    assert (tmp_path / "a.tif").read_bytes()[:4] == b"II+\0"
    assert_read(tmp_path / "a.tif", samples(np.uint8, 3))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), samples(np.uint8, 3))
