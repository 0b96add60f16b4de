"""Batch norm's statistics, estimated anew."""

import numpy as np
import paddle
import pytest

from data.crops import Crops
from data.standardize import standardize
from models.generator import Generator
from models.layers import batch_norm
from tests.helpers.crops import Pictures
from train.bn_statistics import estimate_discriminators, freeze_statistics, re_estimate


def crops_of(pictures, hr_size=16):
    return Crops(Pictures(pictures, [f"{i}.png" for i in range(len(pictures))]), hr_size, "bilinear", 1, False, 0)


@pytest.fixture(scope="module")
def generator():
    paddle.seed(0)
    return Generator(16, 2)


def noise(seed, side):
    return np.random.RandomState(seed).randint(0, 256, (side, side, 3)).astype("uint8")


def test_with_one_batch_over_and_over_eval_mode_computes_what_train_mode_does(generator):
    crops = crops_of([noise(0, 16), noise(1, 16)])  # as large as the crop: every epoch draws the same batch
    lr = standardize(next(iter(crops.batches(0, 2)))[0])
    copy = Generator(*generator.sizes)
    re_estimate(copy, generator, crops, epoch=0, batch_size=2)
    assert not copy.training
    generator.train()
    lagging = {name: value.numpy().copy() for name, value in generator.state_dict().items()}
    np.testing.assert_allclose(copy(lr).numpy(), generator(lr).numpy(), atol=1e-4)
    generator.set_state_dict(lagging)
    generator.eval()
    assert np.abs(copy(lr).numpy() - generator(lr).numpy()).max() > 0.1, "the statistics that training left are not it"


def test_the_first_statistic_is_the_mean_over_the_batches_it_saw(generator):
    crops = crops_of([noise(i, 40) for i in range(6)])
    copy = Generator(*generator.sizes)
    re_estimate(copy, generator, crops, epoch=5, batch_size=2)  # 3 batches an epoch: it goes on to epochs 6, 7 …
    batches = [standardize(lr) for epoch in range(5, 11) for lr, _ in crops.batches(epoch, 2)][:16]
    with paddle.no_grad():
        maps = [generator.head_conv(lr).numpy() for lr in batches]
    weights = 0.99 ** np.arange(15, -1, -1)
    means = np.average([m.mean(axis=(0, 2, 3)) for m in maps], axis=0, weights=weights)
    variances = np.average([m.var(axis=(0, 2, 3)) for m in maps], axis=0, weights=weights)
    np.testing.assert_allclose(copy.head_bn._mean.numpy(), means, atol=1e-5)
    np.testing.assert_allclose(copy.head_bn._variance.numpy(), variances, rtol=1e-4)


def test_weights_are_copied_and_the_original_stays_as_it_was(generator):
    before = {name: value.numpy().copy() for name, value in generator.state_dict().items()}
    copy = Generator(*generator.sizes)
    re_estimate(copy, generator, crops_of([noise(0, 20), noise(1, 20)]), epoch=0, batch_size=2)
    for name, value in generator.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])
        if not name.endswith(("_mean", "_variance")):
            np.testing.assert_array_equal(copy.state_dict()[name].numpy(), before[name])


def test_ds_statistics_are_those_of_hr_and_sr_together(generator):
    """Those of D's first batch norm, here alone on the pictures; HR is bright, SR what an idle generator makes."""
    crops = crops_of([noise(i, 16) // 2 + 128 for i in range(2)])  # as large as the crop: one batch over and over
    lr, hr = (standardize(part) for part in next(iter(crops.batches(0, 2))))
    discriminator = paddle.nn.Sequential(batch_norm(3))
    freeze_statistics(generator)
    with paddle.no_grad():
        both = np.concatenate([hr.numpy(), generator(lr).numpy()])
    estimate_discriminators(discriminator, generator, crops, 2)
    norm = discriminator[0]
    np.testing.assert_allclose(norm._mean.numpy(), both.mean((0, 2, 3)), atol=1e-4)
    np.testing.assert_allclose(norm._variance.numpy(), both.var((0, 2, 3)), rtol=1e-3)
    freeze_statistics(discriminator)
    before = norm._mean.numpy()
    discriminator(hr)
    np.testing.assert_array_equal(norm._mean.numpy(), before)
    generator.train()
