"""Pictures that cost memory or time out of all proportion, or whose checksums are wrong: made here, and those found."""

import io
import lzma
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from common.errors import InputError
from data.pictures.containers import MOST_PAGES, pages
from data.pictures.images import read_rgb
from data.pictures.reading import read_picture
from tests.helpers.pictures import chunk, png_bytes

ROOT = Path(__file__).resolve().parents[1]
FOUND = ROOT.parent / "shared" / "cases" / "pictures"
SIGNATURE = b"\x89PNG\r\n\x1a\n"
NOISE = np.random.default_rng(3).integers(0, 256, (48, 64, 3), dtype=np.uint8)
HEADER = chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 48, 8, 2, 0, 0, 0))
ROWS = b"".join(b"\0" + row.tobytes() for row in NOISE)


def refusal(path) -> str:
    """What both readers say of the file, within a second or two."""
    start = time.perf_counter()
    messages = []
    for read in (read_picture, read_rgb):
        with pytest.raises(InputError) as caught:
            read(path)
        messages.append(str(caught.value))
    assert time.perf_counter() - start < 5
    assert messages[0] == messages[1] and messages[0].startswith(f"{path} cannot be read as a picture: ")
    return messages[0]


def written(folder, content: bytes) -> Path:
    (folder / "picture").write_bytes(content)
    return folder / "picture"


def flipped(content: bytes, place: int, bit: int = 0) -> bytes:
    changed = bytearray(content)
    changed[place] ^= 1 << bit
    return bytes(changed)


def tiff(entries: list, rest: bytes = b"", following: int = 0, order: str = "<", big: bool = False) -> bytes:
    """A TIFF by hand of (tag, type, count, value or place); `rest` is at `rest_of(entries)`."""
    offset, size = ("Q", 8) if big else ("I", 4)
    content = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
    content += struct.pack(order + ("HHQQ" if big else "IH"), *((8, 0, 16) if big else (8,)), len(entries))
    for tag, kind, count, value in sorted(entries):
        field = struct.pack(order + ({3: "H", 4: "I", 9: "i"}[kind] if count == 1 else offset), value)
        content += struct.pack(order + "HH" + offset, tag, kind, count) + field.ljust(size, b"\0")
    return content + struct.pack(order + offset, following) + rest


def rest_of(entries: list, big: bool = False) -> int:
    return 32 + 20 * len(entries) if big else 14 + 12 * len(entries)


def packed_tiff(rgb, packed: bytes, compression: int) -> bytes:
    """A TIFF of one strip that is packed already."""
    stream = io.BytesIO()
    settings = {"photometric": "rgb", "compression": compression, "rowsperstrip": len(rgb), "metadata": None}
    tifffile.imwrite(stream, iter([packed]), shape=rgb.shape, dtype=rgb.dtype, **settings)
    return stream.getvalue()


@pytest.mark.parametrize("name", ["1500_scans.jpg", "one_bit_flipped.png", "one_tile_of_16000x32000.tif"])
def test_those_found_are_refused(name):
    if not (FOUND / name).exists():
        pytest.skip("the pictures that were found are not there")
    refusal(FOUND / name)


class TestPng:
    def test_every_bit_of_the_last_bytes_of_the_pixels_counts(self, tmp_path):
        content = png_bytes(64, 48, 8, 2, [row.tobytes() for row in NOISE])
        np.testing.assert_array_equal(read_rgb(written(tmp_path, content)), NOISE)
        end = content.rindex(b"IEND") - 4  # behind the pixels' chunk
        for place in range(end - 8, end):  # zlib's sum and the chunk's own
            assert "damaged" in refusal(written(tmp_path, flipped(content, place, place % 8)))

    def test_pixels_with_another_sum_in_a_chunk_that_is_whole(self, tmp_path):
        packed = zlib.compress(ROWS)
        for wrong in (flipped(packed, len(packed) - 1), flipped(packed, 5000)):
            content = SIGNATURE + HEADER + chunk(b"IDAT", wrong) + chunk(b"IEND", b"")
            assert "its compressed data is damaged" in refusal(written(tmp_path, content))

    @pytest.mark.parametrize("rows, said", [(ROWS[:-1], "truncated"), (ROWS + b"\0", "more than its pixels")])
    def test_too_few_and_too_many_pixels(self, tmp_path, rows, said):
        content = SIGNATURE + HEADER + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
        assert said in refusal(written(tmp_path, content))

    def test_pixels_in_chunks_of_every_size(self, tmp_path):
        packed = zlib.compress(ROWS)
        chunks = b"".join(chunk(b"IDAT", packed[i : i + 7]) for i in range(0, len(packed), 7))
        content = SIGNATURE + HEADER + chunks + chunk(b"IEND", b"")
        np.testing.assert_array_equal(read_rgb(written(tmp_path, content)), NOISE)

    @pytest.mark.parametrize("name", [b"IDAT", b"tEXt", b"teSt"])
    def test_many_empty_chunks(self, tmp_path, name):
        many = chunk(name, b"") * 300_000
        content = SIGNATURE + HEADER + many + chunk(b"IDAT", zlib.compress(ROWS)) + chunk(b"IEND", b"")
        assert "chunks" in refusal(written(tmp_path, content))

    def test_truncated(self, tmp_path):
        content = png_bytes(64, 48, 8, 2, [row.tobytes() for row in NOISE])
        for length in (len(content) - 12, len(content) - 13, len(content) - 20, 5000):
            assert "truncated" in refusal(written(tmp_path, content[:length]))

    def test_of_no_pixels(self, tmp_path):
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 48, 8, 2, 0, 0, 0))
        content = SIGNATURE + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
        assert "it claims to have 0x48 pixels" in refusal(written(tmp_path, content))

    def test_texts_that_unpack_to_much(self, tmp_path):
        text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**21)))
        content = SIGNATURE + HEADER + text + chunk(b"IDAT", zlib.compress(ROWS)) + chunk(b"IEND", b"")
        assert "its texts (zTXt and iTXt chunks) unpack to too many bytes" in refusal(written(tmp_path, content))


class TestJpeg:
    def scans(self, size: int, count: int) -> bytes:
        """A progressive JPEG whose last scan is there `count` times more."""
        stream = io.BytesIO()
        Image.new("L", (size, size), 90).save(stream, "JPEG", progressive=True)
        content = stream.getvalue()
        last = content.rindex(b"\xff\xda")
        return content[:-2] + content[last:-2] * count + content[-2:]

    @pytest.mark.parametrize("size, count", [(4000, 1500), (16, 40_000)])
    def test_many_scans(self, tmp_path, size, count):
        assert "JPEG scans" in refusal(written(tmp_path, self.scans(size, count)))

    @pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
    def test_those_that_encoders_write_are_read(self, tmp_path, mode):
        Image.new(mode, (6000, 6000)).save(tmp_path / "a.jpg", progressive=True)
        assert read_picture(tmp_path / "a.jpg").colour.shape[:2] == (6000, 6000)

    def test_metadata_that_a_reader_would_copy_over_and_over(self, tmp_path):
        entries = [(1000 + i, 7, 60_000, 8) for i in range(5000)]
        exif = (b"Exif\0\0" + tiff(entries)).ljust(65_533, b"\0")
        stream = io.BytesIO()
        Image.fromarray(NOISE).save(stream, "JPEG")
        content = stream.getvalue()
        segment = b"\xff\xe1" + struct.pack(">H", len(exif[:65_533]) + 2) + exif[:65_533]
        assert "metadata" in refusal(written(tmp_path, content[:2] + segment + content[2:]))


class TestTiff:
    @pytest.mark.parametrize("compression", [1, 5, 8, 32773, 50000])
    def test_a_tile_out_of_all_proportion(self, tmp_path, compression):
        entries = [(256, 3, 1, 16), (257, 3, 1, 16), (258, 3, 1, 8), (259, 3, 1, compression), (262, 3, 1, 1)]
        entries += [(322, 4, 1, 16000), (323, 4, 1, 32000), (324, 4, 1, 8), (325, 4, 1, 100)]
        assert "tile of 16000x32000" in refusal(written(tmp_path, tiff(entries, bytes(200))))

    def pieces(self, entries: list, places: tuple, count: int, order: str = "<", big: bool = False) -> bytes:
        """A TIFF of `count` strips or tiles that are the same 100 bytes; places: tags of their offsets and sizes."""
        start = rest_of([*entries, 0, 0], big)
        found = [(tag, 4, count, start + 4 * count * i) for i, tag in enumerate(places)]
        rest = struct.pack(f"{order}{2 * count}I", *[start + 8 * count] * count, *[100] * count) + bytes(100)
        return tiff([*entries, *found], rest, order=order, big=big)

    @pytest.mark.parametrize("order, big", [("<", False), (">", False), ("<", True)])
    @pytest.mark.parametrize("compression", [1, 4, 5, 8, 32773, 34925, 50000])
    @pytest.mark.parametrize("planes", [1, 3])
    def test_many_tiles_that_are_the_same(self, tmp_path, order, big, compression, planes):
        entries = [(256, 4, 1, 480), (257, 4, 1, 16), (258, 3, 1, 8), (259, 3, 1, compression)]
        entries += [(262, 3, 1, planes // 2 + 1), (277, 3, 1, planes), (284, 3, 1, planes // 2 + 1)]
        entries += [(322, 4, 1, 16), (323, 4, 1, 1_000_000)]
        path = written(tmp_path, self.pieces(entries, (324, 325), 30 * planes, order, big))
        assert f"{30 * planes} tiles of 16x1000000 in 480x16 pixels; save it again" in refusal(path)

    @pytest.mark.parametrize("compression", [1, 5, 8])
    def test_more_strips_than_the_picture_has(self, tmp_path, compression):
        entries = [(256, 4, 1, 700), (257, 4, 1, 701), (258, 3, 1, 8), (259, 3, 1, compression), (262, 3, 1, 1)]
        path = written(tmp_path, self.pieces([*entries, (278, 4, 1, 700)], (273, 279), 50_000))
        assert "50000 strips of 700x700 in 700x701 pixels" in refusal(path)

    @pytest.mark.parametrize("compression", [5, 8, 34925])
    def test_strips_that_hold_the_same_bytes_over_and_over(self, tmp_path, compression):
        """Each has its row at its beginning, and then all the others, which a reader takes from the file with it."""
        row = {5: b"\x80\x00\x40", 8: zlib.compress(bytes(16)), 34925: lzma.compress(bytes(16))}[compression]
        entries = [(256, 4, 1, 16), (257, 4, 1, 10_000), (258, 3, 1, 8), (259, 3, 1, compression), (262, 3, 1, 1)]
        entries += [(278, 3, 1, 1)]
        start = rest_of([*entries, 0, 0])
        found = [(273, 4, 10_000, start), (279, 4, 10_000, start + 40_000)]
        where, counts = [start + 80_000] * 10_000, range(10_000, 20_000)
        rest = struct.pack("<20000I", *where, *counts) + row + bytes(20_000)
        path = written(tmp_path, tiff([*entries, *found], rest))
        assert "its strips claim to hold 149995000 bytes in a file of" in refusal(path)

    def test_strips_may_be_the_same(self, tmp_path):
        """As those of a blank picture that some programs write once."""
        entries = [(256, 4, 1, 16), (257, 4, 1, 10_000), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1)]
        entries += [(278, 3, 1, 1)]
        start, row = rest_of([*entries, 0, 0]), zlib.compress(bytes(range(16)))
        found = [(273, 4, 10_000, start), (279, 4, 10_000, start + 40_000)]
        rest = struct.pack("<20000I", *[start + 80_000] * 10_000, *[len(row)] * 10_000) + row
        colour = read_picture(written(tmp_path, tiff([*entries, *found], rest))).colour
        np.testing.assert_array_equal(colour[..., 0], np.tile(np.arange(16, dtype=np.uint8), (10_000, 1)))

    @pytest.mark.parametrize("settings", [{}, {"byteorder": ">"}, {"bigtiff": True}, {"planarconfig": "separate"}])
    @pytest.mark.parametrize("compression", [None, "zlib"])
    def test_tiles_may_stick_out_of_a_narrow_picture(self, tmp_path, settings, compression):
        rgb = np.random.default_rng(4).integers(0, 256, (9, 3000, 3), dtype=np.uint8)
        stored = rgb.transpose(2, 0, 1) if "planarconfig" in settings else rgb
        settings = {**settings, "photometric": "rgb", "tile": (256, 256), "compression": compression}
        tifffile.imwrite(tmp_path / "a.tif", stored, **settings)
        np.testing.assert_array_equal(read_rgb(tmp_path / "a.tif"), rgb)
        with Image.open(tmp_path / "a.tif") as image:
            np.testing.assert_array_equal(np.asarray(image), rgb)

    @pytest.mark.parametrize("rows", [[(323, 9, 1, 32000)], [(323, 4, 1, 32000), (323, 4, 1, 16)]])
    def test_what_libtiff_would_understand_otherwise(self, tmp_path, rows):
        """The tile's height as a number with a sign, and once more."""
        entries = [(256, 3, 1, 16), (257, 3, 1, 16), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1)]
        entries += [(322, 4, 1, 16000), *rows, (324, 4, 1, 8), (325, 4, 1, 100)]
        assert "TIFF tag 323 is there twice, or is no whole number" in refusal(written(tmp_path, tiff(entries)))

    def test_of_another_compression_that_is_said(self, tmp_path):
        entries = [(256, 3, 1, 16), (257, 3, 1, 16), (258, 3, 1, 8), (259, 3, 1, 34712), (262, 3, 1, 1)]
        path = written(tmp_path, self.pieces(entries, (273, 279), 1))
        assert refusal(path).endswith("compression (34712) is not read; save it with deflate (zip) or LZW")

    def test_of_many_planes_none_is_unpacked(self, tmp_path):
        entries = [(256, 4, 1, 7000), (257, 4, 1, 7000), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1)]
        entries += [(277, 3, 1, 100), (278, 4, 1, 7000), (284, 3, 1, 2)]
        assert "100 bands" in refusal(written(tmp_path, self.pieces(entries, (273, 279), 100)))

    def test_a_tile_may_be_larger_than_its_picture(self, tmp_path):
        tifffile.imwrite(tmp_path / "a.tif", NOISE, tile=(512, 512), photometric="rgb", compression="zlib")
        np.testing.assert_array_equal(read_rgb(tmp_path / "a.tif"), NOISE)

    @pytest.mark.parametrize("settings", [{"rowsperstrip": 7}, {"tile": (16, 16)}, {}])
    def test_a_flipped_bit_of_what_deflate_packed(self, tmp_path, settings):
        stream = io.BytesIO()
        tifffile.imwrite(stream, NOISE, photometric="rgb", compression="zlib", **settings)
        content = stream.getvalue()
        np.testing.assert_array_equal(read_rgb(written(tmp_path, content)), NOISE)
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            pieces = list(zip(file.pages[0].dataoffsets, file.pages[0].databytecounts))
        for offset, count in (pieces[0], pieces[-1]):
            assert "damaged" in refusal(written(tmp_path, flipped(content, offset + count - 1)))

    def test_a_flipped_bit_of_what_lzma_packed_with_a_checksum(self, tmp_path):
        packed = lzma.compress(NOISE.tobytes())
        content = packed_tiff(NOISE, packed, 34925)
        np.testing.assert_array_equal(read_rgb(written(tmp_path, content)), NOISE)
        (tmp_path / "none").mkdir()
        none = packed_tiff(NOISE, lzma.compress(NOISE.tobytes(), check=lzma.CHECK_NONE), 34925)
        np.testing.assert_array_equal(read_rgb(written(tmp_path / "none", none)), NOISE)
        start = content.index(packed)
        for place in (*range(0, len(packed), 97), len(packed) - 40):  # the last is in the checksum
            assert "damaged" in refusal(written(tmp_path, flipped(content, start + place)))
        assert "truncated" in refusal(written(tmp_path, packed_tiff(NOISE, packed[:-1], 34925)))

    def test_what_lzma_packed_is_held_against_its_pixels(self, tmp_path):
        bomb = lzma.compress(bytes(50_000_000))
        assert "more than its pixels" in refusal(written(tmp_path, packed_tiff(NOISE, bomb, 34925)))
        packed = bytearray(lzma.compress(NOISE.tobytes()))
        packed[16] = 40  # the dictionary's size: 4 GB, with its header's sum put right
        packed[20:24] = zlib.crc32(packed[12:20]).to_bytes(4, "little")
        assert "Memory usage limit" in refusal(written(tmp_path, packed_tiff(NOISE, bytes(packed), 34925)))

    def test_a_flipped_bit_of_what_zstd_packed_with_a_checksum(self, tmp_path):
        """A frame as zstandard's ZstdCompressor(write_checksum=True) writes it; libtiff's own have no checksum."""
        ramp = np.arange(0, 240, 5, dtype=np.uint8).reshape(4, 4, 3)
        packed = bytes.fromhex("28b52ffd2430810100") + ramp.tobytes() + bytes.fromhex("b4ca0fc5")
        content = packed_tiff(ramp, packed, 50000)
        np.testing.assert_array_equal(read_rgb(written(tmp_path, content)), ramp)
        start = content.index(packed)
        for place in range(9, len(packed)):
            assert "damaged" in refusal(written(tmp_path, flipped(content, start + place)))

    def test_a_million_strips(self, tmp_path):
        entries = [(256, 3, 1, 1), (257, 4, 1, 1_000_000), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
        entries += [(273, 4, 1_000_000, 200), (278, 3, 1, 1), (279, 4, 1_000_000, 200)]
        assert "1000000 strips" in refusal(written(tmp_path, tiff(entries, bytes(4_100_000))))

    def test_tags_that_a_reader_would_copy_over_and_over(self, tmp_path):
        entries = [(256, 3, 1, 16), (257, 3, 1, 16), *((1000 + i, 7, 700_000, 8) for i in range(60_000))]
        assert "its tags claim" in refusal(written(tmp_path, tiff(entries)))

    @pytest.mark.parametrize("order, big", [("<", False), (">", False), ("<", True)])
    @pytest.mark.parametrize("tags", [(34665,), (34853,), (34665, 40965)])
    def test_directories_below_that_a_reader_would_copy_over_and_over(self, tmp_path, order, big, tags):
        """100,000 bytes, 1,000 times each; in the last case two directories below."""
        entries = [(256, 3, 1, 16), (257, 3, 1, 16), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (279, 4, 1, 256)]
        entries += [(273, 4, 1, 8), *((tag, 4, 1, 0) for tag in tags)]
        begin = rest_of(entries, big)
        entry, count = ("HHQQ", "Q") if big else ("HHII", "H")
        directory = struct.pack(order + count, 1000)
        directory += b"".join(struct.pack(order + entry, 1000 + i, 7, 100_000, 8) for i in range(1000)) + bytes(8)
        above = b""
        if len(tags) == 2:
            length = struct.calcsize("<" + count) + struct.calcsize("<" + entry) + 8
            number = struct.pack(order + "I", begin + length).ljust(8 if big else 4, b"\0")
            above = struct.pack(order + count + "HH" + entry[2:3], 1, 40965, 4, 1) + number + bytes(8)
        entries = [(tag, kind, 1, begin if tag in tags else value) for tag, kind, _, value in entries]
        path = written(tmp_path, tiff(entries, above + directory + bytes(100_000), order=order, big=big))
        assert "its EXIF data claims to hold" in refusal(path)
        path.write_bytes(path.read_bytes().replace(directory, bytes(len(directory))))
        with Image.open(path) as image:
            np.testing.assert_array_equal(read_picture(path).colour[..., 0], np.asarray(image))

    @pytest.mark.parametrize("order", ["<", ">"])
    def test_what_pillow_takes_for_a_tiff_is_checked(self, tmp_path, order):
        """A header whose 42 is in the other byte order."""
        stream = io.BytesIO()
        tifffile.imwrite(stream, NOISE, photometric="rgb", byteorder=order)
        content = stream.getvalue()
        np.testing.assert_array_equal(read_rgb(written(tmp_path, content[:2] + content[3:1:-1] + content[4:])), NOISE)
        content = tiff([(256, 3, 1, 16), (257, 3, 1, 16), (1000, 7, 700_000, 8)], bytes(100), order=order)
        assert "its tags claim" in refusal(written(tmp_path, content[:2] + content[3:1:-1] + content[4:]))

    def test_a_bigtiff_that_pillow_misreads(self, tmp_path):
        """It looks for the directory where a TIFF of 32 bits would have it: at 0x80000."""
        tifffile.imwrite(tmp_path / "a.tif", NOISE, photometric="rgb", byteorder=">", bigtiff=True)
        assert "it is a BigTIFF in the byte order MM, which is not read; save it" in refusal(tmp_path / "a.tif")

    def test_pages_are_counted_and_no_more_than_some(self, tmp_path):
        grey = Image.fromarray(NOISE[..., 0])
        grey.save(tmp_path / "a.tif", save_all=True, append_images=[grey, grey])
        assert read_picture(tmp_path / "a.tif").pages == 3
        chain = tiff([]) + b"".join(struct.pack("<HI", 0, 20 + 6 * i) for i in range(MOST_PAGES * 3))
        assert pages(io.BytesIO(b"II*\0\x0e" + chain[5:])) == MOST_PAGES
        assert pages(io.BytesIO(tiff([], following=8))) == 1  # itself again


class TestBmp:
    def bmp(self, width: int, height: int, bits: int, data: bytes, size: int = 40) -> bytes:
        """A BMP of run lengths; a negative height is one whose rows come from the top down."""
        begin = 14 + size + 4 * 2**bits
        header = struct.pack("<IiiHHIIiiII", size, width, height, 1, bits, {8: 1, 4: 2}[bits], len(data), 0, 0, 0, 0)
        palette = bytes((255 * level // 2**bits + shade) % 256 for level in range(2**bits) for shade in (0, 9, 90, 0))
        return b"BM" + struct.pack("<IHHI", begin + len(data), 0, 0, begin) + header.ljust(size, b"\0") + palette + data

    def test_of_too_many_pixels(self, tmp_path):
        data = b"\1\0\0\0" * 4000 + b"\0\1"  # a pixel and the end of the row, 4,000 times
        assert "run lengths with 5000x4000 pixels" in refusal(written(tmp_path, self.bmp(5000, 4000, 8, data)))

    @pytest.mark.parametrize("bits, single", [(8, b"\0\3\7\5\3\0"), (4, b"\0\4\x12\x34")])
    @pytest.mark.parametrize("size", [40, 64, 108, 124])
    @pytest.mark.parametrize("turned", [1, -1])
    def test_rows_of_every_kind_are_what_pillow_makes_of_them(self, tmp_path, bits, single, size, turned):
        rows = b"\7\x21\0\0" + b"\2\x43" + single + b"\0\0" + b"\1\5\0\2\2\1\4\x33\0\0" + b"\3\x65\0\0" + b"\7\1"
        path = written(tmp_path, self.bmp(7, turned * 6, bits, rows + b"\0\1", size))
        colour = read_picture(path).colour
        with Image.open(path) as image:
            np.testing.assert_array_equal(colour, np.asarray(image.convert("RGB")))
        assert colour.shape == (6, 7, 3) and len(np.unique(colour)) > 9

    def test_a_byte_of_two_pixels_may_be_half_too_much(self, tmp_path):
        path = written(tmp_path, self.bmp(3, 1, 4, b"\4\x21\0\1"))
        np.testing.assert_array_equal(read_rgb(path)[0, :, 2], [31, 15, 31])

    @pytest.mark.parametrize("turned", [1, -1])
    @pytest.mark.parametrize("bits", [8, 4])
    @pytest.mark.parametrize(
        "data",
        [
            b"\0\2\0\xff",  # rows
            b"\0\2\xff\0" * 1000,  # columns
            b"\0\2\0\0" * 1000 + b"\7\1",  # nowhere
            b"\7\1\2\1",  # a run
            b"\5\1\0\4\1\1\1\1",  # single pixels
            b"\0\0" * 1000,  # rows left out, which Pillow would not
        ],
    )
    def test_run_lengths_that_leave_the_picture(self, tmp_path, turned, bits, data):
        path = written(tmp_path, self.bmp(7, turned * 6, bits, data + b"\0\1"))
        assert "its run lengths leave its 7x6 pixels" in refusal(path)

    def test_a_jump_of_255_long_rows(self, tmp_path):
        path = written(tmp_path, self.bmp(10_000_000, 1, 8, b"\0\2\0\xff\0\1"))  # of 2.5 GB
        assert "its run lengths leave its 10000000x1 pixels" in refusal(path)

    def test_what_pillow_misreads(self, tmp_path):
        odd = self.bmp(7, 1, 4, b"\0\5\x12\x34\x50\0\2\1")
        assert "Pillow misreads" in refusal(written(tmp_path, odd))
        other = self.bmp(7, 1, 8, b"\7\1").replace(b"\1\0\x08\0\1", b"\1\0\x04\0\1")
        assert "of run lengths of 8 bits, but of 4 bits a pixel" in refusal(written(tmp_path, other))


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted as Linux does")
def test_16_bits_with_alpha_take_no_more_than_24_bytes_a_pixel(tmp_path):
    side = 3000
    content = png_bytes(side, side, 16, 6, [bytes(8 * side)] * side)
    code = (
        "import resource, sys; from data.pictures.reading import read_picture\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "read_picture(sys.argv[1])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    line = [sys.executable, "-c", code, written(tmp_path, content)]
    result = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(result.stdout) * 1024 < 20 * 2**20 + 18 * side**2


def test_the_size_is_told_of_what_is_too_large_even_if_it_is_damaged_too(tmp_path):
    content = png_bytes(90_000, 90_000, 8, 2, [])[:-20]
    with pytest.raises(InputError, match="has 90000x90000 pixels"):
        read_picture(written(tmp_path, content))


def test_the_training_reader_has_a_limit_too(tmp_path):
    path = written(tmp_path, png_bytes(10_000, 6_000, 8, 2, []))
    with pytest.raises(InputError, match="has 10000x6000 pixels .*limit is 50 megapixels; give a smaller") as caught:
        read_rgb(path)
    assert "--max-megapixels" not in str(caught.value)


@pytest.mark.parametrize(
    "content, said",
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "a HEIC"),
        (b"\0\0\0\x18ftyphevc\0\0\0\0msf1hevc", "a HEIC"),
        (b"\0\0\0\x1cftypavif\0\0\0\0mif1avif", "an AVIF"),
        (b"GIF89a\1\0\1\0\0\0\0", "a GIF"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer"),
        (b"%PDF-1.7", "PDF"),
    ],
)
def test_other_files_are_told_what_they_are(tmp_path, content, said):
    assert said in refusal(written(tmp_path, content))


@pytest.mark.parametrize(
    "samples, said",
    [
        (np.zeros((8, 8), np.float32), "floating-point numbers of 32 bits"),
        (np.zeros((8, 8), np.complex64), "complex numbers of 64 bits"),
        (np.zeros((8, 8, 3), np.float32), "floating-point"),
        (np.zeros((8, 8, 7), np.uint8), "7 bands"),
        (np.zeros((8, 8), np.uint32), "32 bits"),
        (np.zeros((8, 8, 2), np.uint8), "a TIFF of 8-bit grey with a band that is not said to be alpha, which is not"),
    ],
)
def test_other_tiffs_are_told_what_they_are(tmp_path, samples, said):
    settings = {"planarconfig": "contig"} if samples.ndim > 2 else {}
    photometric = "rgb" if samples.shape[-1] == 3 else "minisblack"
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric=photometric, **settings)
    assert said in refusal(tmp_path / "a.tif")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_colour_with_further_bands_is_told_what_it_is(tmp_path, order, planar):
    bands = np.zeros((8, 8, 5) if planar == "contig" else (5, 8, 8), np.uint8)
    settings = {"byteorder": order, "photometric": "rgb", "planarconfig": planar}
    tifffile.imwrite(tmp_path / "a.tif", bands, **settings, extrasamples=[0, 0])
    said = "it is a TIFF of 5 bands, expected 1 to 4: grey or RGB, with or without alpha, or CMYK; save it as those"
    assert refusal(tmp_path / "a.tif").endswith(said)
