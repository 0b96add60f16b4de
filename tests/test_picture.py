"""Pixels, depth and transparency from file to memory and back, against other libraries."""

import io
import os
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from common.errors import InputError
from data.pictures.picture import Picture, to_8_bits
from data.pictures.reading import read_picture
from data.pictures.writing import check_writable, omissions, write_picture
from tests.helpers.errors import refusal
from tests.helpers.full_disk import full_after
from tests.helpers.pictures import STORED, chunk, exif_of, picture, png_bytes, png_of, samples_of_16_bits

# pytest sets aside the filter that data.pictures.picture installs.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")
every_sample = pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
every_layout = pytest.mark.parametrize("planes", [1, 2, 3, 4])


def samples(dtype, planes, height=9, width=13):
    noise = samples_of_16_bits(max(height, 9), max(width, 13), planes)[:height, :width]
    return noise if dtype == np.uint16 else (noise >> 8).astype(np.uint8)


def as_picture(planes):
    """[h,w,1..4] as a Picture."""
    colour = planes[..., :3] if planes.shape[2] > 2 else planes[..., :1]
    return Picture(colour, planes[..., -1] if planes.shape[2] in (2, 4) else None)


def assert_read(path, planes):
    """`path` reads as exactly these samples, in this type."""
    read = read_picture(path)
    assert read.colour.flags.writeable and read.colour.flags.c_contiguous
    found = read.colour if read.alpha is None else np.concatenate([read.colour, read.alpha[..., None]], axis=2)
    assert found.dtype == planes.dtype
    np.testing.assert_array_equal(found, planes)


def bgra(planes):
    """RGB to OpenCV's order or back; grey as it is."""
    order = {1: [0], 2: [0, 1], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[planes.shape[2]]
    return np.ascontiguousarray(planes[..., order])


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


class TestRead:
    @every_sample
    @every_layout
    def test_png(self, tmp_path, dtype, planes):
        drawn = samples(dtype, planes)
        (tmp_path / "a.png").write_bytes(png_of(drawn))
        assert_read(tmp_path / "a.png", drawn)
        assert read_picture(tmp_path / "a.png").format == "PNG"

    @every_sample
    @every_layout
    def test_tiff(self, tmp_path, dtype, planes):
        drawn = samples(dtype, planes)
        for compression in (None, "zlib"):
            for order in "<>":
                tiff_of(tmp_path / "a.tif", drawn, compression, order, rowsperstrip=2)
                assert_read(tmp_path / "a.tif", drawn)
        if planes in (1, 3):  # OpenCV's are packed by LZW
            cv2.imwrite(str(tmp_path / "a.tif"), bgra(drawn))
            assert_read(tmp_path / "a.tif", drawn)

    @every_sample
    def test_tiff_where_zero_is_white(self, tmp_path, dtype):
        tiff_of(tmp_path / "a.tif", samples(dtype, 1), photometric="miniswhite")
        assert_read(tmp_path / "a.tif", np.iinfo(dtype).max - samples(dtype, 1))

    def test_tiff_plane_by_plane_or_multiplied_by_alpha(self, tmp_path):
        """Of 16 bits these are refused."""
        planes = samples(np.uint8, 3)
        tifffile.imwrite(tmp_path / "a.tif", planes.transpose(2, 0, 1), photometric="rgb", planarconfig="separate")
        assert_read(tmp_path / "a.tif", planes)
        planes = samples(np.uint16, 4)
        tiff_of(tmp_path / "a.tif", planes, extrasamples=["assocalpha"])
        assert "multiplied by alpha" in refusal(read_picture, tmp_path / "a.tif")
        planes = planes[..., :3].transpose(2, 0, 1)
        tifffile.imwrite(tmp_path / "a.tif", planes, photometric="rgb", planarconfig="separate")
        assert "plane by plane" in refusal(read_picture, tmp_path / "a.tif")

    def test_bmp(self, tmp_path):
        for planes in (1, 3):
            cv2.imwrite(str(tmp_path / "a.bmp"), bgra(samples(np.uint8, planes)))
            assert_read(tmp_path / "a.bmp", samples(np.uint8, planes))

    @pytest.mark.parametrize("planes", [3, 4])
    def test_webp(self, tmp_path, planes):
        drawn = samples(np.uint8, planes)
        drawn[..., 3:] |= 1  # OpenCV does not keep the colours of what is transparent
        cv2.imwrite(str(tmp_path / "a.webp"), bgra(drawn), [cv2.IMWRITE_WEBP_QUALITY, 101])
        assert_read(tmp_path / "a.webp", drawn)

    @pytest.mark.parametrize("progressive", [0, 1])
    def test_jpeg(self, tmp_path, progressive):
        for drawn in (picture()[..., :1], picture()):
            cv2.imwrite(str(tmp_path / "a.jpg"), bgra(drawn), [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])
            expected = cv2.imread(str(tmp_path / "a.jpg"), cv2.IMREAD_UNCHANGED).reshape(drawn.shape)
            read = read_picture(tmp_path / "a.jpg")
            assert read.colour.shape == drawn.shape and read.alpha is None and read.format == "JPEG"
            assert np.abs(read.colour.astype(int) - bgra(expected)).max() <= 2

    def test_cmyk(self, tmp_path):
        # With no black an ink takes its complement from white: red = 255 - cyan.
        Image.new("CMYK", (16, 16), (200, 100, 30, 0)).save(tmp_path / "a.jpg")
        read = read_picture(tmp_path / "a.jpg")
        assert np.abs(read.colour.astype(int) - [55, 155, 225]).max() <= 2 and read.alpha is None

    def test_palette(self, tmp_path):
        palette = chunk(b"PLTE", bytes([9, 9, 9, 77, 77, 77]))
        (tmp_path / "a.png").write_bytes(png_bytes(8, 1, 1, 3, [b"\x0f"], palette))
        assert_read(tmp_path / "a.png", np.array([[[9] * 3] * 4 + [[77] * 3] * 4], np.uint8))
        (tmp_path / "a.png").write_bytes(png_bytes(8, 1, 1, 3, [b"\x0f"], palette + chunk(b"tRNS", b"\x80\1")))
        assert_read(tmp_path / "a.png", np.array([[[9, 9, 9, 128]] * 4 + [[77, 77, 77, 1]] * 4], np.uint8))

    @pytest.mark.parametrize(
        "depth, row, key, grey, at_key",
        [
            (1, b"\xa0", 1, [255, 0, 255, 0], 255),
            (4, b"\x01\x8f", 8, [0, 17, 136, 255], 136),
            (8, b"\x00\x05\xff\x05", 0xA305, [0, 5, 255, 5], 5),  # whose upper bits do not count (PNG, 11.3.2.1)
            (16, struct.pack(">4H", 0, 777, 65535, 778), 777, [0, 777, 65535, 778], 777),
        ],
    )
    def test_grey_of_every_depth_with_and_without_a_transparent_level(self, tmp_path, depth, row, key, grey, at_key):
        grey = np.array([grey], np.uint16 if depth == 16 else np.uint8)
        (tmp_path / "a.png").write_bytes(png_bytes(4, 1, depth, 0, [row]))
        assert_read(tmp_path / "a.png", grey[..., None])
        (tmp_path / "a.png").write_bytes(png_bytes(4, 1, depth, 0, [row], chunk(b"tRNS", struct.pack(">H", key))))
        alpha = np.where(grey == at_key, 0, np.iinfo(grey.dtype).max)
        assert_read(tmp_path / "a.png", np.stack([grey, alpha], axis=2).astype(grey.dtype))

    @every_sample
    def test_a_transparent_colour(self, tmp_path, dtype):
        drawn = samples(dtype, 3)
        drawn[2, 3] = drawn[0, 1]
        drawn[7, 7] = [*drawn[0, 1, :2], drawn[0, 1, 2] ^ 1]
        key = chunk(b"tRNS", struct.pack(">3H", *map(int, drawn[0, 1])))
        (tmp_path / "a.png").write_bytes(png_of(drawn, key))
        alpha = np.full((9, 13, 1), np.iinfo(dtype).max, dtype)
        alpha[0, 1] = alpha[2, 3] = 0
        assert_read(tmp_path / "a.png", np.concatenate([drawn, alpha], axis=2))

    def test_the_content_counts_and_any_name_will_do(self, tmp_path):
        (tmp_path / "图片 ü.jpg").write_bytes(png_of(samples(np.uint8, 3)))
        assert_read(str(tmp_path / "图片 ü.jpg"), samples(np.uint8, 3))


class TestOrientation:
    @pytest.mark.parametrize("orientation", STORED)
    def test_of_what_is_lossless(self, tmp_path, orientation):
        for dtype in (np.uint8, np.uint16):
            for planes in (1, 2, 3, 4):
                stored = STORED[orientation](samples(dtype, planes))
                (tmp_path / "a.png").write_bytes(png_of(stored, chunk(b"eXIf", exif_of(orientation))))
                assert_read(tmp_path / "a.png", samples(dtype, planes))
                for compression in (None, "zlib"):
                    tag = (0x0112, 3, 1, orientation, True)
                    tiff_of(tmp_path / "a.tif", stored, compression, extratags=[tag])
                    assert_read(tmp_path / "a.tif", samples(dtype, planes))
        stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](picture())))
        stored.save(tmp_path / "a.webp", lossless=True, exif=b"Exif\0\0" + exif_of(orientation))
        assert_read(tmp_path / "a.webp", picture())

    @pytest.mark.parametrize("orientation", STORED)
    def test_of_a_jpeg_as_opencv_turns_it(self, tmp_path, orientation):
        stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](picture())))
        stored.save(tmp_path / "a.jpg", exif=b"Exif\0\0" + exif_of(orientation), quality=95)
        read = read_picture(tmp_path / "a.jpg").colour.astype(int)
        assert np.abs(read - bgra(cv2.imread(str(tmp_path / "a.jpg")))).max() <= 2
        assert np.abs(read - picture()).max() <= 12

    def test_unknown_or_damaged_is_none(self, tmp_path):
        for exif in (exif_of(0), exif_of(9), b"garbage"):
            Image.fromarray(picture()).save(tmp_path / "a.png", exif=b"Exif\0\0" + exif)
            assert_read(tmp_path / "a.png", picture())


class TestRefused:
    def test_no_file(self, tmp_path):
        assert "does not exist" in refusal(read_picture, tmp_path / "a.png")
        assert "is not a file" in refusal(read_picture, tmp_path)
        (tmp_path / "a.png").touch()
        assert "the file is empty" in refusal(read_picture, tmp_path / "a.png")

    def test_other_files(self, tmp_path):
        """Also those of formats that Pillow knows and nobody named."""
        heic, page = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", b"\n<!DOCTYPE html><html>"
        stream = io.BytesIO()
        Image.fromarray(picture()).save(stream, format="GIF")
        for content in (heic, page, stream.getvalue(), b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\nshowpage\n"):
            (tmp_path / "a.png").write_bytes(content)
            assert "it is not a PNG, JPEG, BMP, WebP or TIFF" in refusal(read_picture, tmp_path / "a.png")

    def test_tiffs_of_other_samples(self, tmp_path):
        for kind in ("float16", "float32", "int8", "int16", "uint32"):
            tifffile.imwrite(tmp_path / "a.tif", np.ones((4, 4), kind))
            assert "cannot be read as a picture" in refusal(read_picture, tmp_path / "a.tif")

    def test_a_cameras_raw_file_is_not_taken_for_its_preview(self, tmp_path):
        for tags in ({"extratags": [(50706, 1, 4, b"\1\4\0\0", True)]}, {"subfiletype": 1}):
            tifffile.imwrite(tmp_path / "a.dng", picture(), photometric="rgb", **tags)
            assert "a camera's raw file" in refusal(read_picture, tmp_path / "a.dng")

    def test_more_pixels_than_the_callers_limit(self, tmp_path):
        (tmp_path / "a.png").write_bytes(png_of(samples(np.uint8, 3)))
        assert read_picture(tmp_path / "a.png", max_pixels=117).colour.shape == (9, 13, 3)
        message = refusal(read_picture, tmp_path / "a.png", max_pixels=116)
        assert "has 13x9 pixels" in message and "--max-megapixels" in message


class TestWriteLossless:
    @every_sample
    @every_layout
    def test_png_and_tiff(self, tmp_path, dtype, planes):
        for size in ((9, 13), (1, 1), (1, 400), (300, 1000)):  # the last of several blocks
            drawn = samples(dtype, planes, *size)
            write_picture(tmp_path / "a.png", as_picture(drawn))
            content = (tmp_path / "a.png").read_bytes()
            read = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED).reshape(*size, -1)
            # OpenCV reads grey with alpha as colour with alpha.
            np.testing.assert_array_equal(bgra(read), drawn[..., [0, 0, 0, 1]] if planes == 2 else drawn)
            assert (content[24], content[25]) == (8 * drawn.itemsize, {1: 0, 2: 4, 3: 2, 4: 6}[planes])
            assert_read(tmp_path / "a.png", drawn)
            write_picture(tmp_path / "a.tif", as_picture(drawn))
            with tifffile.TiffFile(tmp_path / "a.tif") as file:
                page = file.pages[0]
                assert page.extrasamples == ((2,) if planes in (2, 4) else ())  # 2: not multiplied into the colours
                np.testing.assert_array_equal(page.asarray().reshape(drawn.shape), drawn)
            assert_read(tmp_path / "a.tif", drawn)

    @every_layout
    def test_webp_of_quality_100_and_bmp(self, tmp_path, planes):
        drawn = samples(np.uint8, planes)
        write_picture(tmp_path / "a.webp", as_picture(drawn), quality=100)
        read = bgra(cv2.imdecode(np.fromfile(tmp_path / "a.webp", np.uint8), cv2.IMREAD_UNCHANGED))
        np.testing.assert_array_equal(read, drawn[..., {1: [0, 0, 0], 2: [0, 0, 0, 1]}.get(planes, slice(None))])
        write_picture(tmp_path / "a.bmp", as_picture(drawn))
        expected = as_picture(drawn).colour
        read = cv2.imread(str(tmp_path / "a.bmp"), cv2.IMREAD_UNCHANGED).reshape(expected.shape)
        np.testing.assert_array_equal(bgra(read), expected)


class TestWriteLossy:
    @pytest.mark.parametrize("name", ["a.JPEG", "a.webp"])
    def test_near(self, tmp_path, name):
        for planes in (1, 3):
            drawn = picture()[..., :planes]
            write_picture(tmp_path / name, Picture(drawn))
            read = cv2.imdecode(np.fromfile(tmp_path / name, np.uint8), cv2.IMREAD_UNCHANGED)
            assert read.shape[2:] == ((3,) if planes == 3 or name == "a.webp" else ())  # JPEG of grey is grey
            assert np.abs(bgra(read.reshape(26, 37, -1)).astype(int) - drawn).max() <= 12
        by_default = (tmp_path / name).read_bytes()
        for quality, order in ((20, -1), (95, 0), (99, 1)):
            write_picture(tmp_path / name, Picture(drawn), quality=quality)
            assert np.sign((tmp_path / name).stat().st_size - len(by_default)) == order

    def test_a_lossless_webp_stays_lossless(self, tmp_path):
        for lossless in (True, False):
            Image.fromarray(picture()).save(tmp_path / "a.webp", lossless=lossless, quality=80)
            write_picture(tmp_path / "b.webp", read_picture(tmp_path / "a.webp"))
            same = read_picture(tmp_path / "b.webp").colour == read_picture(tmp_path / "a.webp").colour
            assert same.all() == lossless

    def test_jpeg_keeps_colour_at_full_resolution(self, tmp_path):
        stripes = np.full((64, 64, 3), (200, 60, 60), np.uint8)
        stripes[:, ::2] = (60, 60, 200)
        write_picture(tmp_path / "a.jpg", Picture(stripes))
        assert np.abs(bgra(cv2.imread(str(tmp_path / "a.jpg"))).astype(int) - stripes).max() < 20

    def test_16_bits_are_rounded_to_8(self, tmp_path):
        deep = samples(np.uint16, 4, 32, 32)
        rounded = np.round(deep / 257).astype(np.uint8)
        for name in ("a.bmp", "a.webp", "a.jpg"):
            write_picture(tmp_path / name, as_picture(deep), quality=100)
            write_picture(tmp_path / f"8 {name}", as_picture(rounded), quality=100)
            assert (tmp_path / name).read_bytes() == (tmp_path / f"8 {name}").read_bytes()

    def test_rounding_is_to_the_nearest_level_over_all_samples(self):
        tall = np.tile(np.arange(65536, dtype=np.uint16).reshape(-1, 1, 1), (40, 1, 1))  # of several blocks
        np.testing.assert_array_equal(to_8_bits(tall), np.round(tall / 257))


def test_omissions_by_format():
    deep = as_picture(samples(np.uint16, 4))
    assert omissions("a.png", deep) == omissions("a.TIFF", deep) == omissions(Path("a.tif"), deep) == []
    assert omissions("a.jpg", deep) == omissions("a.bmp", deep) == ["transparency", "16-bit depth"]
    assert omissions("a.webp", deep) == ["16-bit depth"]
    deep.alpha[:] = 65535
    assert omissions("a.jpg", deep) == ["16-bit depth"]


class TestCheckWritable:
    def test_sides(self, tmp_path):
        for name, side in (("a.jpg", 65500), ("a.webp", 16383)):
            check_writable(tmp_path / name, side, side)
            write_picture(tmp_path / name, Picture(np.zeros((side, 1, 1), np.uint8)))  # the libraries' limits too
            for size in ((side + 1, 1), (1, side + 1)):
                message = f"{name} cannot be written: it has {size[0]}x{size[1]} pixels, .* ends at {side} .*png"
                with pytest.raises(InputError, match=message):
                    check_writable(tmp_path / name, *size)
        check_writable(tmp_path / "a.png", 100_000, 100_000)
        for name in ("a.bmp", "a.tif"):
            with pytest.raises(InputError, match="ends at .* pixels"):
                check_writable(tmp_path / name, 40_000, 40_000)

    def test_names(self, tmp_path):
        for name, said in (("a.gif", r"must end in .*\.png"), (".png", "must end in"), ("b/a.png", "folder")):
            with pytest.raises(InputError, match=said):
                write_picture(tmp_path / name, Picture(picture()))
        assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.webp", "a.tif"])
def test_no_room_keeps_what_was_there(tmp_path, name):
    write_picture(tmp_path / name, as_picture(samples(np.uint8, 3)))
    before = (tmp_path / name).read_bytes()
    # A JPEG of this size is written at once, of which the disk takes a part.
    noise = np.random.default_rng(0).integers(0, 256, (150, 150, 3), dtype=np.uint8)
    with full_after(20_000), pytest.raises(OSError, match=r"cannot be written \(File too large\)") as error:
        write_picture(tmp_path / name, Picture(noise))
    assert error.value.filename == str(tmp_path / name)
    assert os.listdir(tmp_path) == [name] and (tmp_path / name).read_bytes() == before
