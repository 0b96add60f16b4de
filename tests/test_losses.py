"""The losses against NumPy, OpenCV and the formulas of the article."""

import cv2
import numpy as np
import paddle
import pytest
from paddle import nn

from data.metrics import grid
from tests.helpers import golden
from train import losses
from train.recipe import Recipe


def tensor(x):
    return paddle.to_tensor(np.asarray(x, dtype="float32"))


class Maps(nn.Layer):
    """Stands in for VGG19: its maps are its input, and it notes what it was asked for."""

    def features_of_blocks(self, x, layer, before_relu=False):
        self.layer, self.before_relu, self.seen = layer, before_relu, x.numpy()
        return [x]


@pytest.mark.parametrize("side", [384, 224, 96, 100])
def test_what_vgg_sees_is_cv2_bilinear_to_a_grey_level(side):
    rgb = np.random.RandomState(side).randint(0, 256, (side, side, 3)).astype("uint8")
    wanted = cv2.resize(rgb, (224, 224), interpolation=cv2.INTER_LINEAR).astype("float32")
    small = losses.vgg_picture(tensor(golden.nchw(rgb[None] / 127.5 - 1)), normalize=False)
    assert list(small.shape) == [1, 3, 224, 224]
    levels = (small.numpy()[0].transpose(1, 2, 0) + 1) * 127.5
    assert np.abs(levels - wanted).max() <= 1


def test_normalization_is_imagenets():
    white, black = tensor(np.ones((1, 3, 8, 8))), tensor(-np.ones((1, 3, 8, 8)))
    w = losses.vgg_picture(white, normalize=True).numpy()[0, :, 0, 0]
    b = losses.vgg_picture(black, normalize=True).numpy()[0, :, 0, 0]
    np.testing.assert_allclose(w, [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225], rtol=1e-5)
    np.testing.assert_allclose(b, [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225], rtol=1e-5)


def test_perceptual_compares_the_maps_of_the_layer():
    maps = Maps()
    sr, hr = tensor(np.full((2, 3, 16, 16), 0.5)), tensor(np.full((2, 3, 16, 16), 0.25))
    assert float(losses.perceptual(maps, sr, hr, Recipe(vgg_layer="conv5_4"))) == pytest.approx(0.0625, rel=1e-5)
    assert maps.layer == "conv5_4" and not maps.before_relu
    assert maps.seen.shape == (1, 3, 224, 224)  # one at a time


def test_short_perceptual_is_the_absolute_difference_of_the_crops_themselves_from_a_sub_pixel_on():
    random = np.random.RandomState(0)
    sr, hr = random.uniform(-1, 1, (2, 2, 3, 16, 16))
    maps = Maps()
    recipe = Recipe(vgg_layer="conv3_4", vgg_resize=False, vgg_before_relu=True, l1=True)
    found = losses.perceptual(maps, tensor(sr), tensor(hr), recipe, (3, 1))
    assert float(found) == pytest.approx(np.abs(sr - hr)[:, :, 3:, 1:].mean(), rel=1e-5)
    assert maps.before_relu and maps.seen.shape == (2, 3, 13, 15)


@pytest.mark.parametrize("at_a_time", [1, 2, 3])
def test_perceptual_of_some_crops_at_a_time_is_that_of_all_and_so_is_its_gradient(at_a_time, monkeypatch):
    monkeypatch.setattr(losses, "PIXELS_AT_A_TIME", at_a_time * 16**2)
    random = np.random.RandomState(0)
    sr, hr = random.uniform(-1, 1, (2, 3, 3, 16, 16))
    maps, given = Maps(), tensor(sr)
    given.stop_gradient = False
    found = losses.perceptual(maps, given, tensor(hr), Recipe(vgg_resize=False, vgg_normalize=False))
    (3 * found).backward()
    assert float(found) == pytest.approx(np.mean((sr - hr) ** 2), rel=1e-5)
    np.testing.assert_allclose(given.grad.numpy(), 3 * 2 * (sr - hr) / sr.size, rtol=1e-4, atol=1e-9)
    assert maps.seen.shape == (3 % at_a_time or at_a_time, 3, 16, 16)


def test_the_strength_of_maps_is_their_root_mean_square_in_overlapping_windows():
    maps = np.random.RandomState(0).normal(0, 3, (2, 5, 11, 8))
    found = losses.strength(tensor(maps), 4).numpy()
    assert found.shape == (2, 5, 4, 3)
    for row, column in np.ndindex(4, 3):
        window = maps[:, :, 2 * row : 2 * row + 4, 2 * column : 2 * column + 4]
        np.testing.assert_allclose(found[:, :, row, column], np.sqrt(np.mean(window**2, axis=(2, 3))), rtol=1e-3)
    small = maps[:, :, :1, :2]  # one window
    found = losses.strength(tensor(small), 4).numpy()
    np.testing.assert_allclose(found[..., 0], np.sqrt(np.mean(small**2, axis=3) + 1e-3), rtol=1e-4)


class Halved(Maps):
    """As VGG19 does for a layer of its second block: maps of two blocks, the second's of half the size."""

    def features_of_blocks(self, x, layer, before_relu=False):
        return [x, nn.functional.avg_pool2d(x, 2)]


def test_texture_is_compared_in_the_same_16_pixels_in_every_block():
    sr, hr = np.random.RandomState(0).uniform(-1, 1, (2, 1, 3, 32, 32))

    def strengths(picture, window):
        starts = range(0, picture.shape[2] - window + 1, window // 2)
        squares = [[picture[:, :, r : r + window, c : c + window] ** 2 for c in starts] for r in starts]
        return np.sqrt([[square.mean(axis=(2, 3)) for square in row] for row in squares])

    def half(picture):
        return picture.reshape(1, 3, 16, 2, 16, 2).mean(axis=(3, 5))

    wanted = np.abs(half(sr) - half(hr)).mean()
    for maps, window in ((lambda x: x, 16), (half, 8)):
        wanted += 3 * np.abs(strengths(maps(sr), window) - strengths(maps(hr), window)).mean()
    recipe = Recipe(vgg_resize=False, l1=True, vgg_texture=3)
    assert float(losses.perceptual(Halved(), tensor(sr), tensor(hr), recipe)) == pytest.approx(wanted, rel=0.01)


def loss_of_stripes(strength: float, phase: int, texture: float) -> float:
    """The VGG loss of stripes one pixel wide against stripes of strength 0.5; the maps are the pictures themselves."""
    stripes = np.tile([1.0, -1.0], 8) * np.ones((2, 3, 16, 1))
    recipe = Recipe(vgg_resize=False, l1=True, vgg_texture=texture)
    sr = np.roll(strength * stripes, phase, axis=3)
    return float(losses.perceptual(Maps(), tensor(sr), tensor(0.5 * stripes), recipe))


def test_texture_counts_how_strong_the_maps_are_and_not_where():
    assert loss_of_stripes(0.5, phase=0, texture=2) == 0
    assert loss_of_stripes(0.5, phase=1, texture=2) == pytest.approx(1)  # their difference alone
    assert loss_of_stripes(0.2, phase=0, texture=2) == pytest.approx(0.3 + 2 * 0.3, rel=0.02)
    # A blurred SR is nearer to HR than stripes at the wrong place, except by their strength.
    assert loss_of_stripes(0, phase=0, texture=0) < loss_of_stripes(0.5, phase=1, texture=0)
    assert loss_of_stripes(0, phase=0, texture=2) > loss_of_stripes(0.5, phase=1, texture=2)


def test_the_gradient_of_texture_is_finite_where_maps_are_zero():
    sr = paddle.zeros([1, 3, 16, 16])
    sr.stop_gradient = False
    recipe = Recipe(vgg_resize=False, vgg_texture=1.0)
    losses.perceptual(Maps(), sr, tensor(np.ones((1, 3, 16, 16))), recipe).backward()
    assert np.isfinite(sr.grad.numpy()).all() and (sr.grad.numpy() < 0).all()


def test_adversarial_losses_are_the_articles_logarithms():
    hr_logits, sr_logits = np.array([[2.0], [-1.0]]), np.array([[0.5], [-3.0]])
    d_hr, d_sr = 1 / (1 + np.exp(-hr_logits)), 1 / (1 + np.exp(-sr_logits))
    adversarial = np.mean(-np.log(d_sr))
    discrimination = np.mean(-np.log(d_hr) - np.log(1 - d_sr)) / 2
    assert float(losses.adversarial(tensor(sr_logits))) == pytest.approx(adversarial, rel=1e-5)
    assert float(losses.discrimination(tensor(hr_logits), tensor(sr_logits))) == pytest.approx(discrimination, rel=1e-5)


def test_adversarial_loss_does_not_vanish_or_overflow_when_d_wins():
    logits = tensor([[-200.0]])
    logits.stop_gradient = False
    loss = losses.adversarial(logits)
    loss.backward()
    assert loss.item() == pytest.approx(200)
    assert logits.grad.item() == pytest.approx(-1)


def with_grid(levels: float, side: int) -> np.ndarray:
    """A grey square with noise of 2 grey levels; each fourth pixel across and down is lighter by `levels`."""
    grey = np.random.RandomState(0).normal(128, 2, (side, side))
    grey[1::4, 2::4] += levels
    return np.repeat(np.round(grey)[None], 3, axis=0)


def grid_loss(sr, hr) -> float:
    return float(losses.grid(tensor(sr[None] / 127.5 - 1), tensor(hr[None] / 127.5 - 1)))


@pytest.mark.parametrize("levels", [0, 2, 8])
def test_of_a_grid_that_is_everywhere_the_loss_is_the_square_of_what_is_measured(levels):
    gridded = with_grid(levels, 404)
    measured = grid(gridded.transpose(1, 2, 0).astype("uint8"))
    assert grid_loss(gridded, with_grid(0, 404)) == pytest.approx(measured**2, abs=0.02 + 0.02 * measured**2)


def test_a_grid_that_cancels_over_the_picture_counts_where_it_is():
    plain = np.full((3, 404, 404), 128.0)
    gridded = plain.copy()
    gridded[:, 1::4, 2:200:4] += 8
    gridded[:, 1::4, 206::4] -= 8
    assert grid(gridded.transpose(1, 2, 0).astype("uint8")) < 0.1
    assert grid_loss(gridded, plain) == pytest.approx(grid_loss(with_grid(8, 404), with_grid(0, 404)), rel=0.05)


def test_the_grid_loss_takes_a_grid_away():
    hr = tensor(with_grid(0, 96)[None] / 127.5 - 1)
    sr = paddle.to_tensor(with_grid(4, 96)[None].astype("float32") / 127.5 - 1, stop_gradient=False)
    before = losses.grid(sr, hr)
    before.backward()
    after = losses.grid(sr - 0.5 * sr.grad, hr)
    assert float(after) < 0.9 * float(before)
