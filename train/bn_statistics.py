"""Re-estimates batch norm's moving statistics: at momentum 0.99 those from training lag behind the weights."""

import itertools

import paddle
from paddle import nn
from tqdm import tqdm

from data.standardize import standardize
from models.layers import is_statistic
from models.settings import BN_MOMENTUM

BATCHES = 16


def freeze_statistics(network) -> None:
    """Make batch norm use its moving statistics in training too, and leave them unchanged."""
    for layer in network.sublayers():
        if isinstance(layer, nn.BatchNorm2D):
            layer.eval()


def re_estimate(copy, generator, crops, epoch: int, batch_size: int, check_stop=lambda: None) -> None:
    """Copy `generator` to `copy`, in eval mode, with statistics re-estimated over 16 training batches.

    copy: another Generator. crops: `data.crops.Crops`; its batches of `epoch` are used (and of the following epochs, if
    that has fewer than 16). check_stop: called after each batch; an exception that it raises ends the estimation.
    """
    copy.set_state_dict(generator.state_dict())
    copy.train()
    _estimate(copy, (standardize(lr) for lr, _ in _first_batches(crops, epoch, batch_size)), check_stop)
    copy.eval()


def estimate_discriminators(discriminator, generator, crops, batch_size: int) -> None:
    """Estimate D's statistics over the HR of 16 training batches together with `generator`'s SR of their LR.

    discriminator: in train mode. generator: with its own statistics frozen. crops: as in `re_estimate`.
    """
    batches = _first_batches(crops, 0, batch_size)
    _estimate(discriminator, (paddle.concat([standardize(hr), generator(standardize(lr))]) for lr, hr in batches))


def _first_batches(crops, epoch: int, batch_size: int):
    """The (lr, hr) of BATCHES batches, from `epoch` on."""
    batches = itertools.chain.from_iterable(crops.batches(e, batch_size) for e in itertools.count(epoch))
    return itertools.islice(batches, BATCHES)


def _estimate(network, batches, check_stop=lambda: None) -> None:
    """Estimate the statistics of `network`, in train mode, over BATCHES batches of its inputs.

    After n batches, a moving average that starts at zero is too small by the factor 1 - momentum^n; dividing by this
    factor makes it the weighted mean (Adam's bias correction: Kingma and Ba, arXiv 1412.6980, section 3).
    """
    statistics = [value for name, value in network.state_dict().items() if is_statistic(name)]
    for value in statistics:
        value.set_value(paddle.zeros_like(value))
    with paddle.no_grad():
        for batch in tqdm(batches, "batch norm statistics", BATCHES, leave=False):
            network(batch)
            check_stop()
    for value in statistics:
        value.set_value(value / (1 - BN_MOMENTUM**BATCHES))
