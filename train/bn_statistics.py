"""Batch norm's moving statistics, estimated anew: at momentum 0.99 those of training lag behind the weights."""

import itertools

import paddle
from paddle import nn
from tqdm import tqdm

from data.crops import standardize
from models.layers import BN_MOMENTUM

BATCHES = 16


def is_statistic(name: str) -> bool:
    """Whether a network's variable of that name is a moving mean or variance; in Paddle those are parameters too."""
    return name.endswith(("._mean", "._variance"))


def freeze_statistics(generator) -> None:
    """Let batch norm use its moving statistics in training too, and leave them as they are."""
    for layer in generator.sublayers():
        if isinstance(layer, nn.BatchNorm2D):
            layer.eval()


def re_estimate(copy, generator, crops, epoch: int, batch_size: int, between=lambda: None) -> None:
    """Make `copy` one of `generator`, in eval mode, with its statistics taken over 16 training batches.

    copy: another Generator. crops: `data.crops.Crops`; their draws of `epoch` (and of those after it, if that has fewer
    batches) are used. between: called after each batch; what it raises ends it.
    Started from zero, a moving average falls short by 1 - momentum^n after n batches; dividing by that makes it the
    weighted mean (Adam's bias correction: Kingma and Ba, arXiv 1412.6980, section 3).
    """
    copy.set_state_dict(generator.state_dict())
    copy.train()
    statistics = [value for name, value in copy.state_dict().items() if is_statistic(name)]
    for value in statistics:
        value.set_value(paddle.zeros_like(value))
    draws = itertools.chain.from_iterable(crops.batches(e, batch_size) for e in itertools.count(epoch))
    with paddle.no_grad():
        for lr, _ in tqdm(itertools.islice(draws, BATCHES), "batch norm statistics", BATCHES, leave=False):
            copy(standardize(lr))
            between()
    for value in statistics:
        value.set_value(value / (1 - BN_MOMENTUM**BATCHES))
    copy.eval()
