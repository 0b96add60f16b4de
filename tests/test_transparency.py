"""What is hidden under transparency doesn't bleed into what is seen: no rim around a disc that lies on nothing."""

import numpy as np
import pytest
from PIL import Image

from data.imresize import imresize
from data.pictures.picture import Picture
from data.pictures.reading import read_picture
from data.pictures.writing import write_picture
from infer.files import Job
from infer.picture import Options, Size, fill_hidden, upscale_file


class Bicubic:
    """In place of an upscaler: bicubic enlargement, in which dark pixels darken their neighbours as in a network."""

    weights = "bicubic"

    def upscale(self, lr, progress, beside, size):
        return imresize(lr, *size)


def upscaled(folder, picture, outscale=4) -> Picture:
    """The picture written to a file, and from there upscaled to another."""
    write_picture(folder / "a.png", picture)
    job = Job(folder / "a.png", folder / "b.png")
    upscale_file(job, Options(Size("outscale", outscale)), lambda picture: Bicubic())
    return read_picture(job.target)


def disc(dtype, planes: int, softness: float) -> Picture:
    """A disc of one light colour on transparent black, its edge `softness` pixels wide."""
    rows, columns = np.mgrid[:40, :48]
    full = np.iinfo(dtype).max
    cover = np.clip((14 - np.hypot(rows - 19.3, columns - 24.1)) / softness + 0.5, 0, 1)
    alpha = np.rint(cover * full).astype(dtype)
    light = (np.array([237, 201, 240])[:planes] * (full // 255)).astype(dtype)
    return Picture(np.where(alpha[..., None] > 0, light, 0).astype(dtype), alpha)


@pytest.mark.parametrize(("dtype", "planes", "softness"), [(np.uint8, 3, 3), (np.uint16, 1, 0.01)])
def test_a_light_disc_has_no_dark_rim(tmp_path, dtype, planes, softness):
    picture = disc(dtype, planes, softness)
    sr = upscaled(tmp_path, picture)
    seen = sr.colour[sr.alpha > 0]
    assert seen.size and (seen == picture.colour[20, 24]).all()
    # The same kernel on the colours as they are does give a rim: this test can fail.
    assert (Bicubic().upscale(picture.colour, None, 0, (160, 192))[sr.alpha > 0] < 0.95 * picture.colour[20, 24]).any()


def test_on_white_it_is_what_premultiplied_colours_give(tmp_path):
    picture = disc(np.uint8, 3, 2)
    rows = np.mgrid[:40, :48][0]
    picture.colour[picture.alpha > 0] -= rows[picture.alpha > 0][:, None].astype(np.uint8)
    sr = upscaled(tmp_path, picture)
    found = sr.colour * (sr.alpha / 255)[..., None] + (255 - sr.alpha)[..., None]
    premultiplied = picture.colour * (picture.alpha / 255)[..., None]
    enlarged = [
        np.asarray(Image.fromarray(premultiplied[..., i].astype("float32")).resize((192, 160), 3)) for i in range(3)
    ]
    expected = np.stack(enlarged, axis=2) + (255 - sr.alpha.astype(float))[..., None]
    assert np.abs(found - expected)[8:-8, 8:-8].mean() < 1 and np.abs(found - expected).max() < 25


def test_what_is_seen_is_never_changed_and_what_is_all_hidden_stays():
    rng = np.random.default_rng(1)
    colour = rng.integers(0, 256, (30, 31, 3), dtype=np.uint8)
    alpha = (rng.random((30, 31)) < 0.1).astype(np.uint8)
    filled = fill_hidden(Picture(colour, alpha))
    assert (filled[alpha > 0] == colour[alpha > 0]).all()
    assert {tuple(c) for c in filled.reshape(-1, 3)} == {tuple(c) for c in colour[alpha > 0]}
    for whole in (np.zeros_like(alpha), np.full_like(alpha, 255), None):
        assert fill_hidden(Picture(colour, whole)) is colour
