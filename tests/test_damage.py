"""A picture that is cut short or damaged is named and refused, and never used as if it were whole."""

import io
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from common.errors import InputError
from data.pictures.images import read_rgb
from data.pictures.reading import read_picture
from tests.helpers.errors import refusal
from tests.helpers.pictures import chunk, picture, png_of, samples_of_16_bits

NOISE = np.random.default_rng(3).integers(0, 256, (48, 64, 3), dtype=np.uint8)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def written(folder, content: bytes) -> Path:
    (folder / "picture").write_bytes(content)
    return folder / "picture"


def flipped(content: bytes, place: int, bit: int = 0) -> bytes:
    changed = bytearray(content)
    changed[place] ^= 1 << bit
    return bytes(changed)


def encoded(rgb, format_name: str, **settings) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, format_name, **settings)
    return stream.getvalue()


def photograph(height=240, width=320):
    """Waves and noise: a JPEG of it has some 50 bytes in each of its units of 16×16 pixels."""
    rows, columns = np.mgrid[:height, :width]
    waves = np.stack([np.sin(columns / 9 + rows / 30), np.cos(rows / 7), np.sin((rows + columns) / 40)], axis=2)
    noise = np.random.default_rng(0).normal(0, 9, waves.shape)
    return np.clip(128 + 100 * waves + noise, 0, 255).astype(np.uint8)


# A file of each kind whose decoders differ.
KINDS = {
    "png": lambda: encoded(picture(), "PNG"),
    "palette.png": lambda: encoded(picture(), "PNG", bits=8),
    "16-bit.png": lambda: cv2.imencode(".png", samples_of_16_bits(9, 13, 3))[1].tobytes(),
    "jpg": lambda: encoded(picture(), "JPEG"),
    "progressive.jpg": lambda: encoded(picture(), "JPEG", progressive=True),
    "restarts.jpg": lambda: encoded(picture(), "JPEG", restart_marker_blocks=1),
    "bmp": lambda: encoded(picture(), "BMP"),
    "webp": lambda: encoded(picture(), "WEBP"),
    "lossless.webp": lambda: encoded(picture(), "WEBP", lossless=True),
    "frames.webp": lambda: encoded(picture(), "WEBP", save_all=True, append_images=[Image.fromarray(picture()[::-1])]),
    "tif": lambda: encoded(picture(), "TIFF"),
    "lzw.tif": lambda: encoded(picture(), "TIFF", compression="tiff_lzw"),
    "jpeg.tif": lambda: encoded(picture(), "TIFF", compression="jpeg"),
    "16-bit.tif": lambda: tiff(samples_of_16_bits(9, 13, 3)),
    "grey 16-bit.tif": lambda: tiff(samples_of_16_bits(9, 13), compression="zlib"),
}


def tiff(samples, **settings) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, samples, photometric="rgb" if samples.ndim == 3 else "minisblack", **settings)
    return stream.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_cut_short_is_refused_or_read_whole(tmp_path, kind):
    content = KINDS[kind]()
    whole = read_rgb(written(tmp_path, content))
    for length in (*range(1, len(content) - 12, max(1, len(content) // 15)), *range(len(content) - 12, len(content))):
        path = written(tmp_path, content[:length])
        # The last bytes (checksum, end mark) of some hold no pixels.
        if length >= len(content) - 21:
            try:
                np.testing.assert_array_equal(read_rgb(path), whole)
                continue
            except InputError:
                pass
        refusal(read_rgb, path)


class TestPng:
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_every_flipped_bit_counts(self, tmp_path, dtype):
        content = png_of(NOISE.astype(dtype), chunk(b"tEXt", b"Title\0a title"))
        end = len(content) - 12  # of the pixels; what follows marks the end
        for place in [*range(8, 75, 3), *range(75, end - 60, 1997), *range(end - 60, end, 4)]:
            refusal(read_picture, written(tmp_path, flipped(content, place, place % 8)))


class TestJpeg:
    @pytest.mark.parametrize(
        ("mode", "settings"), [("L", {}), ("RGB", {"progressive": True}), ("CMYK", {"restart_marker_rows": 1})]
    )
    def test_without_its_end_mark_it_has_all_its_pixels(self, tmp_path, mode, settings):
        stream = io.BytesIO()
        Image.fromarray(photograph()).convert(mode).save(stream, "JPEG", **settings)
        content = stream.getvalue()
        whole = read_rgb(written(tmp_path, content))
        np.testing.assert_array_equal(read_rgb(written(tmp_path, content[:-2])), whole)
        with Image.open(stream) as image:
            np.testing.assert_array_equal(whole, np.asarray(image.convert("RGB")))

    @pytest.mark.parametrize("restarts", [{}, {"restart_marker_blocks": 16}, {"restart_marker_rows": 2}])
    @pytest.mark.parametrize("count", [300, 3000])
    def test_data_cut_out_in_the_middle(self, tmp_path, restarts, count):
        content = encoded(photograph(), "JPEG", **restarts)
        for place in range(1000, len(content) - count - 100, 1997):
            path = written(tmp_path, content[:place] + content[place + count :])
            assert "missing" in refusal(read_picture, path)

    def test_a_progressive_one_whose_last_scans_are_missing(self, tmp_path):
        content = encoded(photograph(), "JPEG", progressive=True)
        scans = [place for place in range(len(content)) if content.startswith(b"\xff\xda", place)]
        assert len(scans) > 5
        for scan in scans[1:]:
            path = written(tmp_path, content[:scan] + b"\xff\xd9")
            assert "(JPEG scans) is missing" in refusal(read_picture, path)
        many = written(tmp_path, content[:-2] + 99 * content[scans[-1] : -2] + b"\xff\xd9")
        assert "scans, each of which" in refusal(read_picture, many)

    def test_a_damaged_size_does_not_fill_the_memory(self, tmp_path):
        content = encoded(NOISE, "JPEG")
        size = content.index(struct.pack(">HH", 48, 64))
        path = written(tmp_path, content[:size] + b"\xff\xd0\xff\xd0" + content[size + 4 :])
        assert "65488x65488 pixels in" in refusal(read_picture, path)

    def test_a_flat_one_may_be_small(self, tmp_path):
        for progressive in (False, True):
            content = encoded(np.zeros((4000, 4000), np.uint8), "JPEG", progressive=progressive, optimize=True)
            assert not read_picture(written(tmp_path, content)).colour.any()

    def test_what_follows_the_picture_does_no_harm(self, tmp_path):
        content = encoded(NOISE, "JPEG")
        whole = read_rgb(written(tmp_path, content))
        for more in (content, bytes(999), b"\xff\xda\0\x08" + bytes(99)):
            np.testing.assert_array_equal(read_rgb(written(tmp_path, content + more)), whole)


@pytest.mark.parametrize("settings", [{"rowsperstrip": 7}, {"tile": (16, 16)}, {"tile": (512, 512)}, {}])
def test_a_flipped_bit_of_a_tiff_packed_by_deflate(tmp_path, settings):
    for samples in (NOISE, NOISE.astype(np.uint16) * 257):
        content = tiff(samples, compression="zlib", **settings)
        np.testing.assert_array_equal(read_rgb(written(tmp_path, content)), NOISE)
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            pieces = list(zip(file.pages[0].dataoffsets, file.pages[0].databytecounts))
        for offset, count in (pieces[0], pieces[-1]):
            for place in (offset + count // 2, offset + count - 1):
                refusal(read_picture, written(tmp_path, flipped(content, place)))
