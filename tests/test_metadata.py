"""What a picture's file says of itself: carried to the result, converted, or said."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from data.pictures.picture import taken
from data.pictures.reading import read_picture
from data.pictures.writing import lost, write_picture
from tests.helpers.pictures import chunk

RGB = np.random.default_rng(5).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def exif(turned: int = 6):
    found = Image.Exif()
    found.update({0x0112: turned, 0x010F: "a maker", 0x8769: {0x9003: "2024:01:02 03:04:05", 0xA001: 65535}})
    return found


@pytest.mark.parametrize("source", ["a.png", "a.jpg", "a.webp"])
@pytest.mark.parametrize("target", ["b.png", "b.jpg", "b.webp"])
def test_exif_is_carried_and_says_upright(tmp_path, source, target):
    Image.fromarray(RGB).save(tmp_path / source, exif=exif())
    picture = read_picture(tmp_path / source)
    assert picture.colour.shape == (30, 20, 3) and "EXIF" not in lost(target, picture)
    write_picture(tmp_path / target, picture)
    with Image.open(tmp_path / target) as image:
        found = image.getexif()
        assert image.size == (20, 30) and found[0x0112] == 1 and found[0x010F] == "a maker"
        assert found.get_ifd(0x8769)[0x9003] == "2024:01:02 03:04:05" and found.get_ifd(0x8769)[0xA001] == 65535


@pytest.mark.parametrize("target", ["b.bmp", "b.tif"])
def test_where_exif_cannot_be_carried_that_is_said(tmp_path, target):
    Image.fromarray(RGB).save(tmp_path / "a.jpg", exif=exif())
    assert "EXIF" in lost(target, read_picture(tmp_path / "a.jpg"))


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
    "name, content", [(b"gAMA", b"\0\1\x86\xa0"), (b"cHRM", bytes(range(32))), (b"cICP", b"\x0c\x0d\0\1")]
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
    assert taken(picture) == "of its 2 pages or pictures the first alone is taken" and picture.lossless
    assert lost("b.webp", picture) == []


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
