"""What a picture's file says of itself: carried to the result, converted, or said."""

import io
import struct
import time

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, PngImagePlugin
from PIL.TiffImagePlugin import IFDRational

from data.pictures import reading, tiff_exif
from data.pictures.picture import Picture, taken
from data.pictures.reading import read_picture
from data.pictures.writing import lost, write_picture
from tests.helpers.pictures import chunk

RGB = np.random.default_rng(5).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def exif(turned: int = 6):
    found = Image.Exif()
    found.update({0x0112: turned, 0x010F: "a maker", 0x8769: {0x9003: "2024:01:02 03:04:05", 0xA001: 65535}})
    return found


@pytest.mark.parametrize("source", ["a.png", "a.jpg", "a.webp", "a.tif"])
@pytest.mark.parametrize("target", ["b.png", "b.jpg", "b.webp", "b.tif"])
def test_exif_is_carried_and_says_upright(tmp_path, source, target):
    Image.fromarray(RGB).save(tmp_path / source, exif=exif().tobytes())
    picture = read_picture(tmp_path / source)
    assert picture.colour.shape == (30, 20, 3) and "EXIF" not in " ".join(lost(target, picture))
    write_picture(tmp_path / target, picture)
    with Image.open(tmp_path / target) as image:
        found = image.getexif()
        assert image.size == (20, 30) and found.get(0x0112, 1) == 1 and found[0x010F] == "a maker"
        assert found.get_ifd(0x8769)[0x9003] == "2024:01:02 03:04:05" and found.get_ifd(0x8769)[0xA001] == 65535


def test_where_exif_cannot_be_carried_that_is_said(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "a.jpg", exif=exif())
    assert "EXIF" in lost("b.bmp", read_picture(tmp_path / "a.jpg"))


@pytest.mark.parametrize("order", [b"II", b"MM"])
@pytest.mark.parametrize("source", ["a.jpg", "a.tif"])
def test_exif_in_a_tiff_is_whole_in_either_byte_order(tmp_path, order, source):
    """Every type of value, and the directories below, as Pillow reads them from both."""
    wanted = Image.Exif()
    wanted.endian = "<" if order == b"II" else ">"
    wanted.update({0x010F: "a maker of a long name", 0x9C9B: "title".encode("utf-16le")})
    wanted[0x8769] = {
        0x829A: IFDRational(1, 50),
        0x9000: b"0231",
        0x9204: IFDRational(-1, 3),
        0xA001: 1,
        0x8827: (100, 200, 300),
    }
    if source == "a.jpg":  # in a TIFF Pillow writes where it was
        wanted[0x8769][0xA005] = {1: "R98"}
    wanted[0x8825] = {1: "N", 2: (IFDRational(52), IFDRational(30), IFDRational(5, 2)), 5: b"\0"}
    Image.fromarray(RGB).save(tmp_path / source, exif=wanted.tobytes())
    picture = read_picture(tmp_path / source)
    assert lost("b.tif", picture) == []
    write_picture(tmp_path / "b.tif", picture)
    with Image.open(tmp_path / source) as before, Image.open(tmp_path / "b.tif") as after:
        before, after = before.getexif(), after.getexif()
        assert after[0x010F] == "a maker of a long name" and after[0x9C9B] == before[0x9C9B]
        for directory in (0x8769, 0x8825, *([0xA005] if source == "a.jpg" else [])):
            was, found = before.get_ifd(directory), after.get_ifd(directory)
            assert was and {**found, 0xA005: 0} == {**was, 0xA005: 0}
    np.testing.assert_array_equal(read_picture(tmp_path / "b.tif").colour, picture.colour)


def test_a_makers_notes_stay_behind_where_their_offsets_would_be_wrong(tmp_path):
    found = exif()
    found[0x8769][0x927C] = b"notes that point anywhere"
    for name in ("a.jpg", "a.tif"):
        Image.fromarray(RGB).save(tmp_path / name, exif=found.tobytes())
    said = "parts of EXIF (a maker's notes, or damaged)"
    assert lost("b.tif", read_picture(tmp_path / "a.jpg")) == [said]
    assert lost("b.jpg", read_picture(tmp_path / "a.jpg")) == []
    picture = read_picture(tmp_path / "a.tif")
    assert lost("b.jpg", picture) == [said] and b"notes" not in picture.exif


def test_exif_that_points_to_the_same_bytes_over_and_over_costs_little(tmp_path):
    """5,000 values of 60,000 bytes each in the directory below, which no reader of the first one sees."""
    entries = b"".join(struct.pack("<HHII", 1000 + i, 7, 60_000, 8) for i in range(5000))
    exif = b"II*\0" + struct.pack("<IHHHII", 8, 1, 0x8769, 4, 1, 26) + bytes(4)
    exif += struct.pack("<H", 5000) + entries + bytes(4)
    exif = exif.ljust(65_000, b"\0")[:65_000]
    start = time.perf_counter()
    tags, is_cut = tiff_exif.tags_for_tiff(exif)
    assert (tags, is_cut) == ({}, True) and time.perf_counter() - start < 1


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6" dc:title="a"/></x:xmpmeta>'


@pytest.mark.parametrize("source", ["a.png", "a.jpg", "a.webp", "a.tif"])
@pytest.mark.parametrize("target", ["b.png", "b.jpg", "b.webp", "b.tif"])
def test_xmp_is_carried_and_says_upright(tmp_path, source, target):
    write_picture(tmp_path / source, Picture(RGB, xmp=XMP))
    picture = read_picture(tmp_path / source)
    # Pillow turns a TIFF by itself, and takes the orientation out.
    upright = XMP.replace(b'tiff:Orientation="6"', b"") if source == "a.tif" else XMP.replace(b'"6"', b'"1"')
    assert picture.xmp == upright and lost(target, picture) == []
    write_picture(tmp_path / target, picture)
    with Image.open(tmp_path / target) as image:
        assert image.info["xmp"] == upright


@pytest.mark.parametrize("odd", [4_000_000_000, (1, 2), None])
def test_a_number_in_the_place_of_xmp_is_none(odd):
    """As a TIFF may have it; `bytes` would make 4 GB of the first."""
    assert reading._xmp({"xmp": odd}) == b""


def test_where_xmp_cannot_be_carried_that_is_said():
    assert lost("b.bmp", Picture(RGB, xmp=XMP)) == ["XMP"]
    assert lost("b.jpg", Picture(RGB, xmp=XMP + bytes(66_000))) == ["XMP"]


def test_a_tiff_without_resolution_has_none(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "a.tif")
    assert read_picture(tmp_path / "a.tif").dpi is None
    Image.fromarray(RGB).save(tmp_path / "b.tif", dpi=(1, 1))
    assert read_picture(tmp_path / "b.tif").dpi == (1, 1)


@pytest.mark.parametrize("source", ["a.png", "a.jpg", "a.bmp", "a.tif"])
@pytest.mark.parametrize("target", ["b.png", "b.jpg", "b.bmp", "b.tif"])
def test_dpi_is_carried(tmp_path, source, target):
    Image.fromarray(RGB).save(tmp_path / source, dpi=(300, 200))
    picture = read_picture(tmp_path / source)
    write_picture(tmp_path / target, picture)
    with Image.open(tmp_path / target) as image:
        assert image.info["dpi"] == pytest.approx((300, 200), abs=0.1)
    assert lost("b.webp", picture) == ["resolution (dpi)"]


@pytest.mark.parametrize(
    "name, content",
    [(b"gAMA", b"\0\1\x86\xa0"), (b"cHRM", bytes(range(32))), (b"cICP", b"\x0c\x0d\0\1")]
    + [(b"mDCV", bytes(range(24))), (b"cLLI", bytes(range(8)))],
)
def test_a_pngs_colour_space_is_carried_or_said(tmp_path, name, content):
    stream = io.BytesIO()
    Image.fromarray(RGB).save(stream, "PNG")
    (tmp_path / "a.png").write_bytes(stream.getvalue()[:33] + chunk(name, content) + stream.getvalue()[33:])
    picture = read_picture(tmp_path / "a.png")
    assert lost("b.png", picture) == [] and lost("b.jpg", picture) == ["colour space that PNG's chunks give"]
    write_picture(tmp_path / "b.png", picture)
    assert chunk(name, content) in (tmp_path / "b.png").read_bytes()


def test_what_says_srgb_is_no_loss(tmp_path):
    stream = io.BytesIO()
    Image.fromarray(RGB).save(stream, "PNG")
    said = chunk(b"gAMA", (45455).to_bytes(4, "big")) + chunk(b"sRGB", b"\0")
    (tmp_path / "a.png").write_bytes(stream.getvalue()[:33] + said + stream.getvalue()[33:])
    assert lost("b.jpg", read_picture(tmp_path / "a.png")) == []


def test_a_webp_without_loss_stays_without(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "a.webp", lossless=True)
    Image.fromarray(RGB).save(tmp_path / "lossy.webp", quality=80)
    for name, is_kept in (("a.webp", True), ("lossy.webp", False)):
        picture = read_picture(tmp_path / name)
        write_picture(tmp_path / "b.webp", picture)
        assert np.array_equal(read_picture(tmp_path / "b.webp").colour, picture.colour) is is_kept
    write_picture(tmp_path / "b.webp", read_picture(tmp_path / "a.webp"), quality=60)
    assert not np.array_equal(read_picture(tmp_path / "b.webp").colour, RGB)


def test_of_an_animation_it_is_said_what_is_taken(tmp_path):
    frames = [Image.fromarray(RGB), Image.fromarray(RGB[::-1])]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    picture = read_picture(tmp_path / "a.webp")
    assert taken(picture) == "has 2 pages or frames; only the first is used" and picture.lossless
    assert lost("b.webp", picture) == []


def test_a_profile_for_other_colours_is_left_out_of_a_cmyk_picture(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.new("CMYK", (8, 8), (10, 200, 30, 5)).save(tmp_path / "a.jpg", icc_profile=profile)
    picture = read_picture(tmp_path / "a.jpg")
    assert picture.icc_profile is None
    assert lost("b.png", picture) == ["ICC profile (damaged, above 1 MB or for other colours)"]


def test_a_cmyk_profile_is_applied(tmp_path, monkeypatch):
    used = []

    def note(image, source, target, **settings):
        used.append((image.mode, settings["outputMode"]))
        return Image.new("RGB", image.size, (1, 2, 3))

    profile = bytes(16) + b"CMYK" + bytes(200)
    Image.new("CMYK", (8, 8), (10, 200, 30, 5)).save(tmp_path / "a.jpg", icc_profile=profile)
    picture = read_picture(tmp_path / "a.jpg")
    assert "CMYK profile, which is damaged" in lost("b.png", picture)
    monkeypatch.setattr(ImageCms, "profileToProfile", note)
    monkeypatch.setattr(ImageCms, "ImageCmsProfile", lambda stream: stream.read())
    picture = read_picture(tmp_path / "a.jpg")
    assert used == [("CMYK", "RGB")] and picture.icc_profile is None and lost("b.png", picture) == []
    assert (abs(picture.colour.astype(int) - (1, 2, 3)) <= 1).all()


NO_PROFILE = "ICC profile (damaged, above 1 MB or for other colours)"
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def test_a_profile_that_is_left_out_is_said(tmp_path):
    image = Image.fromarray(RGB)
    image.save(tmp_path / "large.png", icc_profile=SRGB + bytes(2_000_000))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    content = stream.getvalue()
    (tmp_path / "damaged.png").write_bytes(content[:33] + chunk(b"iCCP", b"a\0\0damaged") + content[33:])
    image.convert("L").save(tmp_path / "grey.jpg", icc_profile=SRGB)
    image.save(tmp_path / "odd.tif", icc_profile=b"odd")
    for path in tmp_path.iterdir():
        picture = read_picture(path)
        assert picture.icc_profile is None and lost("b.png", picture) == [NO_PROFILE]
        assert picture.colour.shape[:2] == RGB.shape[:2]
    image.save(tmp_path / "whole.png", icc_profile=SRGB)
    assert lost("b.png", read_picture(tmp_path / "whole.png")) == []


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_depth_of_cmyk_is_said(tmp_path, order):
    for dtype, said in ((np.uint16, ["16-bit depth (of CMYK)"]), (np.uint8, [])):
        stored = np.zeros((8, 8, 4), dtype)
        tifffile.imwrite(tmp_path / "a.tif", stored, photometric="separated", byteorder=order)
        picture = read_picture(tmp_path / "a.tif")
        assert lost("b.tif", picture) == said and (picture.colour == 255).all()


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_pngs_texts_are_said(tmp_path, is_packed):
    for name, said in (("Title", ["text (PNG's chunks)"]), ("Software", []), ("date:create", [])):
        texts = PngImagePlugin.PngInfo()
        texts.add_text(name, "a text", zip=is_packed)
        Image.fromarray(RGB).save(tmp_path / "a.png", pnginfo=texts)
        assert lost("b.png", read_picture(tmp_path / "a.png")) == said
        texts = PngImagePlugin.PngInfo()
        texts.add_itxt(name, "a text", zip=is_packed)
        Image.fromarray(RGB).save(tmp_path / "a.png", pnginfo=texts)
        assert lost("b.png", read_picture(tmp_path / "a.png")) == said


def test_comments_and_iptc_data_are_said(tmp_path):
    iptc = b"\x1c\2\5\0\5title"
    Image.fromarray(RGB).save(tmp_path / "a.jpg", comment=b"a comment")
    assert lost("b.jpg", read_picture(tmp_path / "a.jpg")) == ["comment"]
    Image.fromarray(RGB).save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    for resource, said in ((0x0404, ["IPTC data"]), (0x03F3, [])):
        block = b"Photoshop 3.0\0" + b"8BIM" + struct.pack(">HHI", resource, 0, len(iptc)) + iptc
        segment = b"\xff\xed" + struct.pack(">H", len(block) + 2) + block
        (tmp_path / "a.jpg").write_bytes(content[:2] + segment + content[2:])
        assert lost("b.jpg", read_picture(tmp_path / "a.jpg")) == said
    extratags = [(33723, 7, len(iptc), iptc, True)]
    tifffile.imwrite(tmp_path / "a.tif", RGB, photometric="rgb", extratags=extratags)
    assert lost("b.tif", read_picture(tmp_path / "a.tif")) == ["IPTC data"]


def test_a_band_that_may_be_anything_is_said(tmp_path):
    bands = np.dstack([RGB, RGB[:, :, 0]])
    for kind, said in ((0, ["a band that is not said to be alpha"]), (2, [])):
        tifffile.imwrite(tmp_path / "a.tif", bands, photometric="rgb", extrasamples=[kind])
        picture = read_picture(tmp_path / "a.tif")
        assert lost("b.tif", picture) == said
        np.testing.assert_array_equal(picture.colour, RGB)


def test_who_made_a_tiff_is_carried_without_further_exif(tmp_path):
    extratags = [(315, 2, 0, "an artist", True), (33432, 2, 0, "a copyright", True)]
    tifffile.imwrite(tmp_path / "a.tif", RGB, photometric="rgb", extratags=extratags)
    picture = read_picture(tmp_path / "a.tif")
    for name in ("b.tif", "b.jpg", "b.png"):
        write_picture(tmp_path / name, picture)
        with Image.open(tmp_path / name) as image:
            assert (image.getexif()[315], image.getexif()[33432]) == ("an artist", "a copyright")
    assert lost("b.bmp", picture) == ["EXIF"]


@pytest.mark.parametrize("name", ["a.png", "a.webp"])
def test_the_frames_of_a_turned_animation_are_counted(tmp_path, name):
    first, second = Image.fromarray(RGB), Image.fromarray(RGB[::-1])
    first.save(tmp_path / name, save_all=True, append_images=[second], exif=exif().tobytes(), lossless=True)
    picture = read_picture(tmp_path / name)
    assert picture.colour.shape == (30, 20, 3) and picture.pages == 2
