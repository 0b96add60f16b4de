import os
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from common.errors import InputError
from data.pictures.images import EXTENSIONS, list_pictures, read_rgb, write_rgb
from tests.helpers.errors import refusal
from tests.helpers.pictures import STORED, chunk, picture, png_bytes, samples_of_16_bits
from tests.helpers.programs import run_python

ROOT = Path(__file__).resolve().parents[1]

# pytest sets aside the filter that data.pictures.images installs; what a command prints is tested in a process of its
# own.
pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:PIL.Image"),
    pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin"),
]


def to_8_bits(samples):
    return np.floor(samples * (255 / 65535) + 0.5).astype(np.uint8)


def as_rgb(grey):
    return np.stack([grey, grey, grey], axis=2)


def bgr(rgb):
    return rgb[..., ::-1] if rgb.shape[2] == 3 else rgb[..., [2, 1, 0, 3]]


def assert_near(read, expected, levels):
    assert read.dtype == np.uint8 and read.shape == expected.shape
    assert np.abs(read.astype(int) - expected).max() <= levels


class TestReadRgb:
    @pytest.mark.parametrize("ending", ["png", "bmp", "tif", "TIFF", "webp"])
    def test_lossless(self, tmp_path, ending):
        path = tmp_path / f"a.{ending}"
        cv2.imwrite(str(path), bgr(picture()), [cv2.IMWRITE_WEBP_QUALITY, 101])
        read = read_rgb(path)
        assert read.dtype == np.uint8 and read.flags.writeable
        np.testing.assert_array_equal(read, picture())
        np.testing.assert_array_equal(read_rgb(str(path)), picture())

    @pytest.mark.parametrize("progressive", [0, 1])
    def test_jpeg(self, tmp_path, progressive):
        path = tmp_path / "a.jpg"
        cv2.imwrite(str(path), bgr(picture()), [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])
        assert_near(read_rgb(path), bgr(cv2.imread(str(path))), 2)

    def test_what_the_content_is_counts_not_the_ending(self, tmp_path):
        (tmp_path / "a.jpg").write_bytes(cv2.imencode(".png", bgr(picture()))[1].tobytes())
        np.testing.assert_array_equal(read_rgb(tmp_path / "a.jpg"), picture())

    def test_path_with_spaces_and_other_alphabets(self, tmp_path):
        path = tmp_path / "ein Ordner ü" / "图片 1.png"
        path.parent.mkdir()
        path.write_bytes(cv2.imencode(".png", bgr(picture()))[1].tobytes())
        np.testing.assert_array_equal(read_rgb(path), picture())

    def test_grey(self, tmp_path):
        grey = picture()[..., 0]
        for name in ("a.png", "a.tif", "a.bmp"):
            cv2.imwrite(str(tmp_path / name), grey)
            np.testing.assert_array_equal(read_rgb(tmp_path / name), as_rgb(grey))

    def test_1_bit(self, tmp_path):
        (tmp_path / "a.png").write_bytes(png_bytes(10, 2, 1, 0, [b"\xa5\x40", b"\x0f\x80"]))
        bits = [[1, 0, 1, 0, 0, 1, 0, 1, 0, 1], [0, 0, 0, 0, 1, 1, 1, 1, 1, 0]]
        np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), as_rgb(255 * np.array(bits, np.uint8)))

    def test_4_bit_grey(self, tmp_path):
        (tmp_path / "a.png").write_bytes(png_bytes(4, 1, 4, 0, [b"\x01\x8f"]))
        np.testing.assert_array_equal(read_rgb(tmp_path / "a.png")[0, :, 0], [0, 17, 136, 255])

    def test_palette_with_transparency_keeps_the_colours(self, tmp_path):
        palette = bytes([10, 20, 30, 200, 100, 50, 7, 8, 9])
        transparency = chunk(b"tRNS", bytes([0, 128, 255]))
        extra = chunk(b"PLTE", palette) + transparency
        (tmp_path / "a.png").write_bytes(png_bytes(4, 1, 8, 3, [bytes([0, 1, 2, 0])], extra))
        expected = [[[10, 20, 30], [200, 100, 50], [7, 8, 9], [10, 20, 30]]]
        np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), expected)

    def test_alpha_is_dropped_and_the_colours_kept(self, tmp_path):
        alpha = (picture()[..., :1] // 2) * 2 - 40  # 0, transparent, at the left
        cv2.imwrite(str(tmp_path / "a.png"), bgr(np.concatenate([picture(), alpha], axis=2)))
        np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), picture())

    def test_grey_with_alpha(self, tmp_path):
        (tmp_path / "a.png").write_bytes(png_bytes(3, 1, 8, 4, [bytes([11, 0, 150, 128, 255, 255])]))
        np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), as_rgb(np.array([[11, 150, 255]])))

    def test_cmyk_jpeg(self, tmp_path):
        # With no black an ink takes its complement from white: red = 255 - cyan.
        Image.new("CMYK", (16, 16), (200, 100, 30, 0)).save(tmp_path / "a.jpg")
        assert_near(read_rgb(tmp_path / "a.jpg"), np.full((16, 16, 3), (55, 155, 225), np.uint8), 2)

    @pytest.mark.parametrize("name", ["a.png", "a.tif", "plain.tif"])
    @pytest.mark.parametrize("planes", [1, 3, 4])
    def test_16_bits(self, tmp_path, name, planes):
        samples = samples_of_16_bits(9, 13, planes)
        stored = samples if planes == 1 else bgr(samples)
        cv2.imwrite(str(tmp_path / name), stored, [cv2.IMWRITE_TIFF_COMPRESSION, 1] if name == "plain.tif" else [])
        expected = to_8_bits(samples)
        np.testing.assert_array_equal(
            read_rgb(tmp_path / name), as_rgb(expected[..., 0]) if planes == 1 else expected[..., :3]
        )

    @pytest.mark.parametrize("compression", [None, "zlib"])
    @pytest.mark.parametrize("order", ["<", ">"])
    def test_16_bits_in_both_byte_orders(self, tmp_path, order, compression):
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, samples_of_16_bits(9, 13), byteorder=order, compression=compression)
        np.testing.assert_array_equal(read_rgb(path), as_rgb(to_8_bits(samples_of_16_bits(9, 13))))
        colour = samples_of_16_bits(9, 13, 3)
        tifffile.imwrite(path, colour, byteorder=order, compression=compression, photometric="rgb", rowsperstrip=2)
        np.testing.assert_array_equal(read_rgb(path), to_8_bits(colour))

    @pytest.mark.parametrize("samples", [samples_of_16_bits(9, 13), picture()[..., 0]])
    def test_tiff_where_zero_is_white(self, tmp_path, samples):
        tifffile.imwrite(tmp_path / "a.tif", samples, photometric="miniswhite")
        levels = to_8_bits(samples) if samples.dtype == np.uint16 else samples
        np.testing.assert_array_equal(read_rgb(tmp_path / "a.tif"), as_rgb(255 - levels))

    def test_16_bit_grey_with_alpha(self, tmp_path):
        row = struct.pack(">8H", 0, 0, 65535, 9, 40000, 65535, 256, 32768)
        (tmp_path / "a.png").write_bytes(png_bytes(4, 1, 16, 4, [row]))
        assert_near(read_rgb(tmp_path / "a.png"), as_rgb(np.array([[0, 255, 156, 1]])), 1)


class TestOrientation:
    @pytest.mark.parametrize("name", ["a.png", "a.tif", "packed.tif", "a.webp"])
    @pytest.mark.parametrize("orientation", STORED)
    def test_lossless(self, tmp_path, orientation, name):
        settings = {"compression": "tiff_lzw"} if name == "packed.tif" else {"lossless": True}
        self.save(tmp_path / name, STORED[orientation](picture()), orientation, **settings)
        np.testing.assert_array_equal(read_rgb(tmp_path / name), picture())

    @pytest.mark.parametrize("orientation", STORED)
    def test_jpeg_as_opencv_turns_it(self, tmp_path, orientation):
        path = tmp_path / "a.jpg"
        self.save(path, STORED[orientation](picture()), orientation)
        assert_near(read_rgb(path), bgr(cv2.imread(str(path))), 2)
        assert_near(read_rgb(path), picture(), 12)

    @pytest.mark.parametrize("orientation", [6, 7])
    def test_16_bits(self, tmp_path, orientation):
        path = tmp_path / "a.png"
        samples = samples_of_16_bits(9, 13, 3)
        exif = chunk(
            b"eXIf", b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0) + b"\0\0\0\0"
        )
        stored = STORED[orientation](samples).astype(">u2")
        path.write_bytes(png_bytes(9, 13, 16, 2, [row.tobytes() for row in stored], exif))
        np.testing.assert_array_equal(read_rgb(path), to_8_bits(samples))

    @pytest.mark.parametrize("orientation", [0, 9, 65535])
    def test_unknown_is_none(self, tmp_path, orientation):
        self.save(tmp_path / "a.png", picture(), orientation)
        np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), picture())

    def test_damaged_exif_is_none(self, tmp_path):
        Image.fromarray(picture()).save(tmp_path / "a.png", exif=b"Exif\0\0garbage")
        np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), picture())

    @staticmethod
    def save(path, stored, orientation, **settings):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif, **settings)


class TestFirstOfSeveral:
    def others(self):
        return [Image.fromarray(255 - picture()), Image.fromarray(picture() // 2)]

    def test_webp_frames(self, tmp_path):
        settings = {"save_all": True, "append_images": self.others(), "lossless": True}
        Image.fromarray(picture()).save(tmp_path / "a.webp", **settings)
        np.testing.assert_array_equal(read_rgb(tmp_path / "a.webp"), picture())

    def test_png_frames(self, tmp_path):
        Image.fromarray(picture()).save(tmp_path / "a.png", save_all=True, append_images=self.others())
        np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), picture())

    @pytest.mark.parametrize("compression", [None, "zlib"])
    def test_tiff_pages(self, tmp_path, compression):
        with tifffile.TiffWriter(tmp_path / "a.tif") as file:
            for page in (picture(), picture(50, 60), picture()[..., 0]):
                file.write(page, compression=compression)
        np.testing.assert_array_equal(read_rgb(tmp_path / "a.tif"), picture())

    def test_jpeg_frames(self, tmp_path):
        # One other frame: with two, Pillow 10 writes a file that nobody reads.
        settings = {"format": "MPO", "save_all": True, "append_images": self.others()[:1], "quality": 95}
        Image.fromarray(picture()).save(tmp_path / "a.jpg", **settings)
        assert_near(read_rgb(tmp_path / "a.jpg"), picture(), 12)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"


class TestRefused:
    def test_not_there(self, tmp_path):
        assert "is not there" in refusal(read_rgb, tmp_path / "a.png")

    def test_folder(self, tmp_path):
        assert "is not a file" in refusal(read_rgb, tmp_path)

    def test_empty(self, tmp_path):
        (tmp_path / "a.png").write_bytes(b"")
        assert "the file is empty" in refusal(read_rgb, tmp_path / "a.png")

    @pytest.mark.parametrize("content", [b"<html>Not found</html>\n", b"\0" * 100, EPS, b"\x89PNG\r\n\x1a\n"])
    def test_no_picture(self, tmp_path, content):
        (tmp_path / "a.png").write_bytes(content)
        assert "it is not a PNG, JPEG, BMP, WebP or TIFF picture" in refusal(read_rgb, tmp_path / "a.png")

    @pytest.mark.parametrize("format_name", ["GIF", "PPM", "TGA", "PDF", "ICO"])
    def test_formats_that_pillow_knows_but_nobody_named(self, tmp_path, format_name):
        Image.fromarray(picture()).save(tmp_path / "a.png", format=format_name)
        assert "it is not a PNG, JPEG, BMP, WebP or TIFF picture" in refusal(read_rgb, tmp_path / "a.png")

    def test_decompression_bomb(self, tmp_path):
        (tmp_path / "a.png").write_bytes(png_bytes(60000, 60000, 8, 2, [b"\0" * 1000]))
        assert "has 60000x60000 pixels" in refusal(read_rgb, tmp_path / "a.png")

    @pytest.mark.parametrize("kind", ["float16", "float32", "float64", "int8", "int16", "int32", "uint32"])
    def test_other_samples(self, tmp_path, kind):
        tifffile.imwrite(tmp_path / "a.tif", np.ones((4, 4), kind))
        assert "cannot be read as a picture" in refusal(read_rgb, tmp_path / "a.tif")

    def test_lab(self, tmp_path):
        tifffile.imwrite(tmp_path / "a.tif", picture(), photometric="cielab")
        assert "(LAB)" in refusal(read_rgb, tmp_path / "a.tif")

    @pytest.mark.parametrize("compression", [None, "zlib"])
    def test_16_bits_plane_by_plane(self, tmp_path, compression):
        planes = samples_of_16_bits(3, 9, 13)
        settings = {"photometric": "rgb", "planarconfig": "separate", "compression": compression}
        tifffile.imwrite(tmp_path / "a.tif", planes, **settings)
        assert "plane by plane" in refusal(read_rgb, tmp_path / "a.tif")

    def test_no_permission(self, tmp_path):
        (tmp_path / "a.png").write_bytes(cv2.imencode(".png", picture())[1].tobytes())
        (tmp_path / "a.png").chmod(0)
        if os.access(tmp_path / "a.png", os.R_OK):
            pytest.skip("this user may read every file")
        assert "Permission denied" in refusal(read_rgb, tmp_path / "a.png")


def write_kinds(folder):
    """A file of each kind whose decoders differ, by name."""
    image = Image.fromarray(picture())
    kinds = {
        "a.png": {},
        "palette.png": {},
        "a.jpg": {},
        "progressive.jpg": {"progressive": True},
        "a.bmp": {},
        "a.webp": {},
        "lossless.webp": {"lossless": True},
        "frames.webp": {"save_all": True, "append_images": [image.rotate(180)]},
        "plain.tif": {},
        "lzw.tif": {"compression": "tiff_lzw"},
        "jpeg.tif": {"compression": "jpeg"},
    }
    for name, settings in kinds.items():
        (image.quantize(20) if name == "palette.png" else image).save(folder / name, **settings)
    cv2.imwrite(str(folder / "deep.png"), samples_of_16_bits(9, 13, 3))
    cv2.imwrite(str(folder / "deep.tif"), samples_of_16_bits(9, 13, 3))
    return [*kinds, "deep.png", "deep.tif"]


class TestDamaged:
    @pytest.mark.slow
    def test_cut_short_is_refused_or_read_whole(self, tmp_path):
        for name in write_kinds(tmp_path):
            content = (tmp_path / name).read_bytes()
            whole = read_rgb(tmp_path / name)
            cut = tmp_path / f"cut {name}"
            for length in range(1, len(content), max(1, len(content) // 60)):
                cut.write_bytes(content[:length])
                # PNG's and JPEG's last bytes (checksum, end marks) hold no pixels.
                if length >= len(content) - 21:
                    try:
                        np.testing.assert_array_equal(read_rgb(cut), whole)
                        continue
                    except InputError:
                        pass
                refusal(read_rgb, cut)

    def test_any_damage_is_an_input_error_or_a_picture(self, tmp_path):
        random = np.random.default_rng(1)
        for name in write_kinds(tmp_path):
            content = np.frombuffer((tmp_path / name).read_bytes(), np.uint8)
            damaged = tmp_path / f"damaged {name}"
            for _ in range(25):
                changed = content.copy()
                places = random.integers(0, random.choice([40, len(content)]), size=3)
                changed[places] = random.integers(0, 256, size=3)
                damaged.write_bytes(changed.tobytes())
                try:
                    read = read_rgb(damaged)
                    assert read.dtype == np.uint8 and read.ndim == 3 and read.shape[2] == 3 and read.size
                except InputError as error:
                    assert str(damaged) in str(error) and len(str(error).splitlines()) == 1


def test_nothing_is_printed_on_the_way(tmp_path):
    path = tmp_path / "a.png"
    extra = chunk(b"PLTE", bytes([10, 20, 30, 200, 100, 50])) + chunk(b"tRNS", bytes([0, 128]))
    path.write_bytes(png_bytes(2, 1, 8, 3, [bytes([0, 1])], extra))
    with pytest.warns(UserWarning), Image.open(path) as image:  # what Pillow says of it by itself
        image.convert("RGB")
    program = "import sys; from data.pictures.images import read_rgb; print(read_rgb(sys.argv[1]).tolist())"
    done = run_python(program, path, flags=["-W", "always"])
    assert (done.stdout, done.stderr) == ("[[[10, 20, 30], [200, 100, 50]]]\n", "")


class TestWriteRgb:
    def test_png_is_exact(self, tmp_path):
        write_rgb(tmp_path / "ü.PNG", picture())
        np.testing.assert_array_equal(bgr(cv2.imdecode(np.fromfile(tmp_path / "ü.PNG", np.uint8), 1)), picture())

    def test_view(self, tmp_path):
        write_rgb(tmp_path / "a.png", picture()[::-2, 3:20])
        np.testing.assert_array_equal(bgr(cv2.imread(str(tmp_path / "a.png"))), picture()[::-2, 3:20])

    @pytest.mark.parametrize("ending", ["jpg", "JPEG"])
    def test_jpeg(self, tmp_path, ending):
        path = tmp_path / f"a.{ending}"
        write_rgb(path, picture())
        assert path.read_bytes()[:2] == b"\xff\xd8"
        assert_near(bgr(cv2.imread(str(path))), picture(), 8)

    def test_quality_of_jpeg(self, tmp_path):
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        for quality in (20, 95, 100):
            write_rgb(tmp_path / f"{quality}.jpg", noise, quality=quality)
        write_rgb(tmp_path / "default.jpg", noise)
        sizes = [(tmp_path / f"{quality}.jpg").stat().st_size for quality in (20, 95, 100)]
        assert sizes == sorted(set(sizes))
        assert (tmp_path / "default.jpg").read_bytes() == (tmp_path / "95.jpg").read_bytes()

    def test_replaces_and_leaves_nothing_else(self, tmp_path):
        write_rgb(tmp_path / "a.png", 255 - picture())
        write_rgb(tmp_path / "a.png", picture())
        np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), picture())
        assert os.listdir(tmp_path) == ["a.png"]

    @pytest.mark.parametrize("name", ["a.bmp", "a.webp", "a", ".png"])
    def test_other_endings(self, tmp_path, name):
        with pytest.raises(InputError, match=r"must end in \.png, \.jpg, \.jpeg"):
            write_rgb(tmp_path / name, picture())
        assert os.listdir(tmp_path) == []

    def test_folder_must_be_there(self, tmp_path):
        with pytest.raises(InputError, match="the folder .*none is not there"):
            write_rgb(tmp_path / "none" / "a.png", picture())
        assert os.listdir(tmp_path) == []

    def test_longest_side_of_jpeg(self, tmp_path):
        write_rgb(tmp_path / "a.jpg", np.zeros((65500, 1, 3), np.uint8))
        with pytest.raises(InputError, match="65501x1 pixels, JPEG ends at 65500 .* ending in .png"):
            write_rgb(tmp_path / "b.jpg", np.zeros((1, 65501, 3), np.uint8))
        write_rgb(tmp_path / "b.png", np.zeros((1, 65501, 3), np.uint8))
        assert sorted(os.listdir(tmp_path)) == ["a.jpg", "b.png"]

    @pytest.mark.parametrize(
        "wrong", [picture() / 255, picture()[..., 0], picture()[..., :2], picture()[:0], picture()[None]]
    )
    def test_other_arrays(self, tmp_path, wrong):
        with pytest.raises(ValueError, match="expected uint8"):
            write_rgb(tmp_path / "a.png", wrong)
        assert os.listdir(tmp_path) == []

    def test_no_room_keeps_what_was_there(self, tmp_path):
        pytest.importorskip("resource", reason="limits a file's size, as a full disk would")
        write_rgb(tmp_path / "a.png", picture())
        before = (tmp_path / "a.png").read_bytes()
        program = (
            "import resource, sys, numpy as np; from data.pictures.images import write_rgb\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
            "noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)\n"
            "try:\n    write_rgb(sys.argv[1], noise)\nexcept OSError as error:\n    print(error)\n"
        )
        done = run_python(program, tmp_path / "a.png", flags=["-B"])
        assert str(tmp_path / "a.png") in done.stdout and done.stderr == ""
        assert os.listdir(tmp_path) == ["a.png"]
        assert (tmp_path / "a.png").read_bytes() == before


class TestListPictures:
    def test_pictures_of_the_folder_itself_by_name(self, tmp_path):
        names = ["b.PNG", "a.png", "c.jpeg", "C.jpg", "d.BmP", "e.webp", "f.tif", "g.TIFF", "10.png", "9.png"]
        for name in [*names, ".hidden.png", "notes.txt", "png", "a.png.part", "h.gif"]:
            (tmp_path / name).touch()
        (tmp_path / "folder.png").mkdir()
        (tmp_path / "folder.png" / "inner.png").touch()
        assert list_pictures(str(tmp_path)) == [tmp_path / name for name in sorted(names)]

    def test_broken_link_is_listed_for_reading_to_name_it(self, tmp_path):
        (tmp_path / "a.png").symlink_to(tmp_path / "gone.png")
        assert list_pictures(tmp_path) == [tmp_path / "a.png"]
        assert "is not there" in refusal(read_rgb, tmp_path / "a.png")

    def test_extensions(self):
        assert set(EXTENSIONS) == {".png", ".jpg", ".jpeg", ".jfif", ".jpe", ".bmp", ".webp", ".tif", ".tiff"}

    def test_not_there(self, tmp_path):
        with pytest.raises(InputError, match="none is not there"):
            list_pictures(tmp_path / "none")

    def test_no_folder(self, tmp_path):
        (tmp_path / "a.png").touch()
        with pytest.raises(InputError, match="a.png is not a folder"):
            list_pictures(tmp_path / "a.png")

    def test_no_picture_says_which_endings_count(self, tmp_path):
        (tmp_path / "notes.txt").touch()
        with pytest.raises(InputError) as caught:
            list_pictures(tmp_path)
        assert str(tmp_path) in str(caught.value)
        assert all(ending in str(caught.value) for ending in EXTENSIONS)
        assert "sub-folder" not in str(caught.value)

    @pytest.mark.parametrize("place", ["train", "train/HR"])
    def test_no_picture_names_a_sub_folder_that_has_some(self, tmp_path, place):
        for folder in (".thumbnails", "empty", place):
            (tmp_path / folder).mkdir(parents=True)
        (tmp_path / ".thumbnails" / "a.png").touch()
        (tmp_path / place / "a.png").touch()
        with pytest.raises(InputError) as caught:
            list_pictures(tmp_path)
        assert f"its sub-folder {tmp_path / place} does" in str(caught.value)


def test_pictures_above_pillows_limit_are_read_where_the_caller_says_how_large(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # Pillow refuses more than twice as many
    Image.new("RGB", (8, 8), (1, 2, 3)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"a.png cannot be read as a picture"):
        read_rgb(tmp_path / "a.png", max_pixels=None)
    assert read_rgb(tmp_path / "a.png", max_pixels=64).shape == (8, 8, 3)
    with pytest.raises(InputError, match=r"a.png has 8x8 pixels"):
        read_rgb(tmp_path / "a.png", max_pixels=63)
