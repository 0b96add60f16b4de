"""The pictures of a run: names, colours, figures; and the samples' PSNR."""

import cv2
import numpy as np
import pytest
from paddle import nn

from train.report import samples

RED, GREEN, BLUE = (200, 30, 20), (20, 180, 40), (30, 40, 190)


def plain(side, colour):
    return np.full((side, side, 3), colour, dtype="uint8")


def test_sample_files_have_the_articles_names_and_true_colours(tmp_path):
    samples.write_samples(tmp_path, "epoch_init_10", plain(96, RED), plain(384, GREEN), plain(384, BLUE))
    expected = {"epoch_init_10_96.jpg": RED, "epoch_init_10_384.jpg": GREEN, "epoch_init_10_G.jpg": BLUE}
    assert {path.name for path in tmp_path.iterdir()} == set(expected)
    for name, colour in expected.items():
        bgr = cv2.imread(str(tmp_path / name))
        assert bgr.shape[0] == (96 if "_96" in name else 384)
        np.testing.assert_allclose(bgr[50, 50, ::-1], colour, atol=3)


def test_figure_shows_lr_hr_and_sr_from_left_to_right(tmp_path):
    samples.write_figure(tmp_path / "figure.png", plain(24, RED), plain(96, GREEN), plain(96, BLUE))
    rgb = cv2.imread(str(tmp_path / "figure.png"))[:, :, ::-1]
    columns = [np.nonzero((rgb == colour).all(axis=2))[1] for colour in (RED, GREEN, BLUE)]
    assert all(len(c) > 10000 for c in columns)
    assert columns[0].max() < columns[1].min() and columns[1].max() < columns[2].min()


@pytest.mark.slow
def test_curves_draw_one_panel_a_loss(tmp_path):
    sizes = {}
    for count in (1, 5):
        names = ["d_loss", "g_loss", "mse", "vgg", "adv"][:count]
        samples.write_curves(
            tmp_path / "c.png", [{"epoch": e, **{name: 1.0 / (e + 1) for name in names}} for e in range(3)]
        )
        sizes[count] = cv2.imread(str(tmp_path / "c.png")).shape
    assert sizes[5][1] == 5 * sizes[1][1]


def test_mean_psnr_is_the_mean_over_the_pictures():
    hr = np.full((2, 8, 8, 3), 100, "uint8")
    sr = np.stack([hr[0] + 1, hr[1] + 10])
    one, ten = 20 * np.log10(255), 20 * np.log10(255 / 10)  # from the definition: an error of 1 and of 10 levels
    assert samples.mean_psnr(sr, hr) == pytest.approx((one + ten) / 2, abs=1e-6)


class Enlarge(nn.Layer):
    def forward(self, x):
        return nn.functional.interpolate(x, scale_factor=4, mode="nearest")


def test_upscale_gives_uint8_pictures_of_every_lr_in_order():
    lr = np.random.RandomState(0).randint(0, 256, (9, 5, 6, 3)).astype("uint8")
    sr = samples.sample_sr(Enlarge(), lr)
    np.testing.assert_array_equal(sr, lr.repeat(4, axis=1).repeat(4, axis=2))
