"""What a picture's file says of itself: carried to the result, made true of it, or named as omitted."""

import io
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, ImageCms
from PIL.TiffImagePlugin import IFDRational

from data.pictures.picture import Picture
from data.pictures.reading import read_picture
from data.pictures.writing import omissions, write_picture
from tests.helpers.errors import refusal
from tests.helpers.pictures import chunk, exif_of, png_of, samples_of_16_bits

RGB = np.random.default_rng(5).integers(0, 256, (20, 30, 3), dtype=np.uint8)
LARGE = np.zeros((80, 120, 3), np.uint8)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
EXIF, GPS, INTEROPERABILITY = 0x8769, 0x8825, 0xA005
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6" exif:PixelXDimension="30" '
    b'dc:title="a"><exif:PixelYDimension>20</exif:PixelYDimension></rdf:Description></x:xmpmeta>'
)
from_each = pytest.mark.parametrize("source", ["a.png", "a.jpg", "a.webp", "a.tif"])
to_each = pytest.mark.parametrize("target", ["b.png", "b.jpg", "b.webp", "b.tif"])
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def profile_of(space, size=3000):
    """The header of an ICC profile for that colour space (ICC.1, 7.2), then noise."""
    noise = np.random.default_rng(7).integers(0, 256, size - 40, dtype=np.uint8).tobytes()
    return struct.pack(">I", size) + bytes(12) + space + b"XYZ " + bytes(12) + b"acsp" + noise


def camera(order=b"II"):
    """EXIF data of a sideways picture with every type of value in both directories below."""
    exif = Image.Exif()
    exif.endian = "<" if order == b"II" else ">"
    exif.update({0x0112: 6, 0x010F: "a maker of a long name", 0x9C9B: "title".encode("utf-16le")})
    exif[EXIF] = {0x829A: IFDRational(1, 50), 0x9000: b"0231", 0x9204: IFDRational(-1, 3), 0x8827: (100, 200, 300)}
    exif[EXIF].update({0x9003: "2024:01:02 03:04:05", 0xA001: 65535, 0xA002: 30, 0xA003: 70_000})
    exif[GPS] = {1: "N", 2: (IFDRational(52), IFDRational(30), IFDRational(5, 2)), 5: b"\0"}
    return exif


@from_each
@to_each
@pytest.mark.parametrize("order", [b"II", b"MM"])
def test_exif_is_carried_whole_and_true_of_the_result(tmp_path, source, target, order):
    """As Pillow reads it from both: upright once, with the result's sizes, all else equal."""
    before = camera(order)
    Image.fromarray(RGB).save(tmp_path / source, exif=before.tobytes())
    picture = read_picture(tmp_path / source)
    assert picture.colour.shape == (30, 20, 3)
    assert not {"EXIF", "the camera maker's notes"} & {*omissions(target, picture)}
    write_picture(tmp_path / target, replace(picture, colour=LARGE))
    with Image.open(tmp_path / target) as image:
        after = image.getexif()
        assert image.size == (120, 80) and after.get(0x0112, 1) == 1
        assert (after[0x010F], after[0x9C9B]) == (before[0x010F], before[0x9C9B])
        assert after.get_ifd(EXIF) == {**before[EXIF], 0xA002: 120, 0xA003: 80}
        assert after.get_ifd(GPS) == before[GPS]


def test_exif_without_its_last_bytes_still_turns_the_picture(tmp_path):
    """Some programs leave out where the next directory is. To lack more is damage."""
    for exif, turned in ((exif_of(6)[:-4], True), (camera().tobytes()[6:66], False)):
        (tmp_path / "a.png").write_bytes(png_of(RGB, chunk(b"eXIf", exif)))
        picture = read_picture(tmp_path / "a.png")
        assert (picture.colour.shape == (30, 20, 3)) == turned
        assert omissions("b.png", picture) == ([] if turned else ["EXIF, which is damaged"])


@pytest.mark.parametrize("order", [b"II", b"MM"])
def test_a_thumbnail_goes(tmp_path, order):
    """As cameras write it: a directory behind the first one, with the place and length of a JPEG."""
    stream = io.BytesIO()
    Image.fromarray(RGB).save(stream, "JPEG")
    thumbnail, o = stream.getvalue(), "<" if order == b"II" else ">"
    exif = order + struct.pack(o + "HI", 42, 8) + struct.pack(o + "HHHIHHI", 1, 0x0112, 3, 1, 1, 0, 26)
    exif += struct.pack(o + "H", 2) + struct.pack(o + "HHII", 0x0201, 4, 1, 56)
    exif += struct.pack(o + "HHII", 0x0202, 4, 1, len(thumbnail)) + bytes(4) + thumbnail
    Image.fromarray(RGB).save(tmp_path / "a.jpg", exif=b"Exif\0\0" + exif)
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.getexif().get_ifd(ExifTags.IFD.IFD1)[0x0202] == len(thumbnail)
    write_picture(tmp_path / "b.jpg", read_picture(tmp_path / "a.jpg"))
    with Image.open(tmp_path / "b.jpg") as image:
        assert image.getexif()[0x0112] == 1 and not image.getexif().get_ifd(ExifTags.IFD.IFD1)
        assert b"\xff\xd8" not in image.info["exif"]


def test_a_makers_notes_stay_where_they_are_or_are_omitted(tmp_path):
    exif, said = camera(), "the camera maker's notes"
    exif[EXIF][0x927C] = b"notes that point anywhere"
    for name in ("a.jpg", "a.tif"):
        Image.fromarray(RGB).save(tmp_path / name, exif=exif.tobytes())
    from_jpeg, from_tiff = read_picture(tmp_path / "a.jpg"), read_picture(tmp_path / "a.tif")
    assert omissions("b.tif", from_jpeg) == omissions("b.jpg", from_tiff) == [said]
    assert omissions("b.jpg", from_jpeg) == []
    write_picture(tmp_path / "b.jpg", from_jpeg)
    with Image.open(tmp_path / "b.jpg") as after, Image.open(tmp_path / "a.jpg") as before:
        assert len(after.info["exif"]) == len(before.info["exif"]) and b"notes that point" in after.info["exif"]
    write_picture(tmp_path / "b.tif", from_jpeg)
    assert b"notes that point" not in (tmp_path / "b.tif").read_bytes() and b"notes that point" not in from_tiff.exif


def test_damaged_exif_is_carried_or_named_and_harms_no_picture(tmp_path):
    rng, exif = np.random.default_rng(1), np.frombuffer(camera().tobytes()[6:], np.uint8)
    for _ in range(20):
        damaged = exif.copy()
        damaged[rng.integers(8, len(exif), 3)] = rng.integers(0, 256, 3)
        (tmp_path / "a.png").write_bytes(png_of(RGB, chunk(b"eXIf", damaged.tobytes())))
        picture = read_picture(tmp_path / "a.png")
        for name in ("b.tif", "b.jpg"):
            assert picture.exif or "EXIF, which is damaged" in omissions(name, picture)
            write_picture(tmp_path / name, picture)
            assert read_picture(tmp_path / name).colour.size == RGB.size


def test_who_made_a_tiff_is_carried_without_further_exif(tmp_path):
    extratags = [(315, 2, 0, "an artist", True), (33432, 2, 0, "a copyright", True)]
    tifffile.imwrite(tmp_path / "a.tif", RGB, photometric="rgb", extratags=extratags)
    picture = read_picture(tmp_path / "a.tif")
    for name in ("b.tif", "b.jpg", "b.png"):
        write_picture(tmp_path / name, picture)
        with Image.open(tmp_path / name) as image:
            assert (image.getexif()[315], image.getexif()[33432]) == ("an artist", "a copyright")
    tifffile.imwrite(tmp_path / "a.tif", RGB, photometric="rgb", description="by a program")
    assert read_picture(tmp_path / "a.tif").exif == b""


@from_each
@to_each
def test_xmp_and_dpi_are_carried_and_true_of_the_result(tmp_path, source, target):
    write_picture(tmp_path / source, Picture(RGB, xmp=XMP, dpi=(300, 200)))
    content = (tmp_path / source).read_bytes().replace(b'Orientation="1"', b'Orientation="6"')
    if source != "a.png":  # which has a checksum
        (tmp_path / source).write_bytes(content)
    picture = read_picture(tmp_path / source)
    assert omissions(target, picture) == (["resolution (dpi)"] if target == "b.webp" != "b" + source[1:] else [])
    write_picture(tmp_path / target, replace(picture, colour=LARGE))
    with Image.open(tmp_path / target) as image:
        expected = XMP.replace(b'"6"', b'"1"').replace(b'"30"', b'"120"').replace(b">20<", b">80<")
        assert image.info["xmp"] == expected
        if "webp" not in source + target:
            assert image.info["dpi"] == pytest.approx((300, 200), abs=0.1)


def test_xmp_that_names_other_parts_of_the_file_goes_with_them(tmp_path):
    for names in (b'hdrgm:Version="1.0"', b'GCamera:MotionPhoto="1"', b'GDepth:Format="RangeInverse"'):
        write_picture(tmp_path / "a.jpg", Picture(RGB, xmp=XMP.replace(b'dc:title="a"', names)))
        picture = read_picture(tmp_path / "a.jpg")
        (said,) = omissions("b.jpg", picture)
        assert picture.xmp == b"" and "gain map" in said and "XMP" in said
    write_picture(tmp_path / "a.jpg", Picture(RGB, xmp=XMP.replace(b'dc:title="a"', b'GCamera:MotionPhoto="0"')))
    assert read_picture(tmp_path / "a.jpg").xmp


def test_the_second_half_of_a_stereo_picture_is_named(tmp_path):
    settings = {"format": "MPO", "save_all": True, "append_images": [Image.fromarray(RGB[::-1])]}
    Image.fromarray(RGB).save(tmp_path / "a.jpg", **settings)
    picture = read_picture(tmp_path / "a.jpg")
    assert picture.format == "JPEG" and omissions("b.jpg", picture) == ["all but the first of 2 pages or frames"]


def test_further_pages_and_frames_are_named(tmp_path):
    first, second = Image.fromarray(RGB), Image.fromarray(RGB[::-1])
    for name in ("a.png", "a.webp", "a.tif"):
        first.save(tmp_path / name, save_all=True, append_images=[second], lossless=True)
        picture = read_picture(tmp_path / name)
        np.testing.assert_array_equal(picture.colour, RGB)
        assert omissions("b.png", picture) == ["all but the first of 2 pages or frames"]


def test_what_a_format_cannot_hold_is_named():
    full = Picture(RGB, icc_profile=SRGB, exif=camera().tobytes()[6:], xmp=XMP, dpi=(72, 72))
    assert omissions("b.bmp", full) == ["ICC profile", "EXIF", "XMP"]
    assert omissions("b.webp", full) == ["resolution (dpi)"]
    assert omissions("b.jpg", replace(full, xmp=XMP + bytes(66_000), exif=full.exif + bytes(66_000))) == ["EXIF", "XMP"]
    assert omissions("b.webp", Picture(RGB[..., :1], icc_profile=profile_of(b"GRAY"))) == ["ICC profile"]


class TestProfile:
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    @pytest.mark.parametrize("planes", [1, 2, 3, 4])
    def test_carried(self, tmp_path, dtype, planes):
        samples = samples_of_16_bits(9, 13, planes)
        samples = samples if dtype == np.uint16 else (samples >> 8).astype(np.uint8)
        profile = SRGB if planes > 2 else profile_of(b"GRAY", size=200_000)
        alpha = None if planes in (1, 3) else samples[..., -1]
        picture = Picture(samples[..., : 3 if planes > 2 else 1], alpha, profile)
        for name in ("a.png", "a.tif", "a.jpg", *(["a.webp"] if planes > 2 else [])):
            write_picture(tmp_path / name, picture)
            assert read_picture(tmp_path / name).icc_profile == profile
            if name != "a.tif":
                with Image.open(tmp_path / name) as image:
                    assert image.info["icc_profile"] == profile

    def test_for_other_colours_is_omitted(self, tmp_path):
        for mode, space in (("L", b"RGB "), ("RGB", b"GRAY"), ("RGB", b"CMYK"), ("RGB", b"odd!")):
            for name in ("a.png", "a.jpg", "a.tif"):
                Image.fromarray(RGB).convert(mode).save(tmp_path / name, icc_profile=profile_of(space))
                picture = read_picture(tmp_path / name)
                assert picture.icc_profile is None
                assert omissions("b.png", picture) == ["ICC profile (damaged, or for other colours)"]

    def test_of_cmyk_is_applied(self, tmp_path, monkeypatch):
        used = []

        def note(image, source, target, **settings):
            used.append((image.mode, settings["outputMode"]))
            return Image.new("RGB", image.size, (1, 2, 3))

        Image.new("CMYK", (8, 8), (10, 200, 30, 5)).save(tmp_path / "a.jpg", icc_profile=profile_of(b"CMYK"))
        assert "cannot open profile" in refusal(read_picture, tmp_path / "a.jpg")
        monkeypatch.setattr(ImageCms, "profileToProfile", note)
        picture = read_picture(tmp_path / "a.jpg")
        assert used == [("CMYK", "RGB")] and picture.icc_profile is None and omissions("b.png", picture) == []
        assert (picture.colour == (1, 2, 3)).all()


def test_a_large_profile_of_a_png(tmp_path):
    (tmp_path / "a.png").write_bytes(png_of(RGB, chunk(b"iCCP", b"a\0\0" + zlib.compress(SRGB + bytes(5_000_000)))))
    assert len(read_picture(tmp_path / "a.png").icc_profile) > 5_000_000
