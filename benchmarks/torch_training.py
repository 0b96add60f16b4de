"""The article's training steps in PyTorch, as a PyTorch user would write them, with their parts timed.

The networks are written from the article's layers, not converted from the project's, so the losses check those too.
"""

import os

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.side_by_side import TRAINING_PARTS, Stopwatch
from benchmarks.torch_generator import BN_EPSILON, TorchGenerator, torch_name

CHANNELS = (3, 64, 128, 256, 512, 1024, 2048, 1024, 512)
VGG19_BLOCKS = ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))  # convolutions and channels
VGG19_SIDE = 224
VGG_WEIGHT, ADVERSARIAL_WEIGHT = 2e-6, 1e-3
LEARNING_RATE = 1e-3


class TorchDiscriminator(nn.Module):
    """Pictures [N,3,hr_size,hr_size] in [-1,1] to logits [N,1]; its parts are named as in `models/discriminator.py`."""

    def __init__(self, hr_size: int):
        super().__init__()
        pairs = list(zip(CHANNELS, CHANNELS[1:]))
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 4, stride=2, padding=1) for i, o in pairs)
        self.bns = nn.ModuleList(nn.BatchNorm2d(o, eps=BN_EPSILON) for _, o in pairs[1:])
        last = CHANNELS[-1]
        self.res_conv, self.res_bn = nn.Conv2d(last, last, 3, padding=1), nn.BatchNorm2d(last, eps=BN_EPSILON)
        self.fc = nn.Linear(last * (-(-hr_size // 2**8)) ** 2, 1)

    def forward(self, picture):
        h = F.leaky_relu(self.convs[0](picture), 0.2)
        for conv, bn in zip(self.convs[1:], self.bns):
            # 'SAME' pads an odd side by 1 at the start and 2 at the end.
            h = F.leaky_relu(bn(conv(F.pad(h, (0, h.shape[3] % 2, 0, h.shape[2] % 2)))), 0.2)
        h = F.leaky_relu(h + F.leaky_relu(self.res_bn(self.res_conv(h)), 0.2), 0.2)
        return self.fc(h.flatten(1))


class TorchVGG19(nn.Module):
    """Pictures [N,3,224,224] to the maps after the last block [N,512,7,7]; named as in `models/vgg19.py`, no biases."""

    def __init__(self):
        super().__init__()
        inputs = 3
        for block, (count, channels) in enumerate(VGG19_BLOCKS, 1):
            for i in range(1, count + 1):
                self.add_module(f"conv{block}_{i}", nn.Conv2d(inputs, channels, 3, padding=1, bias=False))
                inputs = channels

    def forward(self, x):
        for block, (count, _) in enumerate(VGG19_BLOCKS, 1):
            for i in range(1, count + 1):
                x = F.relu(getattr(self, f"conv{block}_{i}")(x))
            x = F.max_pool2d(x, 2, 2)
        return x


def networks_of(stage: int, hr_size: int) -> dict:
    """{name: network} of a stage."""
    networks = {"generator": TorchGenerator()}
    if stage == 2:
        networks.update(discriminator=TorchDiscriminator(hr_size), vgg19=TorchVGG19().requires_grad_(False))
    return networks


def read_weights(network: nn.Module, path) -> None:
    """Load the weights from an .npz of the project's state dict. Raises RuntimeError if a name or a shape differs."""
    with np.load(path) as state:
        weights = {torch_name(name): torch.from_numpy(value) for name, value in state.items()}
    for name in [name for name in weights if name.startswith("fc") and weights[name].dim() == 2]:
        weights[name] = weights[name].T  # Paddle's linear layers have [inputs, outputs]
    network.load_state_dict(weights)


def load(folder, stage: int, hr_size: int, memory_format: str):
    """A function that takes the next training step: ({part: seconds}, {loss: number}). On all cores, in float32.

    folder: written by `benchmarks.paddle_training.write_start`. memory_format: one of PyTorch's.
    """
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    form = getattr(torch, memory_format)
    networks = networks_of(stage, hr_size)
    for name, network in networks.items():
        read_weights(network, folder / f"{name}.npz")
        network.to(memory_format=form)
    generator, discriminator, vgg19 = (networks.get(name) for name in ("generator", "discriminator", "vgg19"))
    optimizers = {
        name: torch.optim.Adam(network.parameters(), LEARNING_RATE)
        for name, network in networks.items()
        if network is not vgg19
    }
    batches = iter(_read_batches(folder))

    watch = Stopwatch(TRAINING_PARTS)
    draw = watch.timed("data", lambda: [_standardized(pictures, form) for pictures in next(batches)])
    compute_g = watch.timed("G", generator)
    compute_d = watch.timed("D", discriminator)
    backward = watch.timed("backward", torch.Tensor.backward)
    perceptual = watch.timed("VGG", lambda sr, hr: _perceptual(vgg19, sr, hr))

    def update(name: str, loss) -> None:
        backward(loss)
        watch.timed("optimizer", optimizers[name].step)()
        watch.timed("optimizer", optimizers[name].zero_grad)()

    def pretrain_step(lr, hr) -> dict:
        mse = F.mse_loss(compute_g(lr), hr)
        update("generator", mse)
        return {"mse": mse}

    def gan_step(lr, hr) -> dict:
        sr = compute_g(lr)
        real, fake = compute_d(hr), compute_d(sr.detach())
        d_loss = (_cross_entropy(real, 1) + _cross_entropy(fake, 0)) / 2
        update("discriminator", d_loss)
        discriminator.requires_grad_(False)
        mse, adv, vgg = F.mse_loss(sr, hr), _cross_entropy(compute_d(sr), 1), perceptual(sr, hr)
        g_loss = mse + ADVERSARIAL_WEIGHT * adv + VGG_WEIGHT * vgg
        update("generator", g_loss)
        discriminator.requires_grad_(True)
        return {"d_loss": d_loss, "g_loss": g_loss, "mse": mse, "vgg": vgg, "adv": adv}

    def step(_):
        watch.lap()
        terms = (pretrain_step if stage == 1 else gan_step)(*draw())
        terms = {name: float(term) for name, term in terms.items()}
        return watch.lap(), terms

    return step


def _read_batches(folder) -> list:
    with np.load(folder / "lr.npz") as lr, np.load(folder / "hr.npz") as hr:
        return [(lr[step], hr[step]) for step in lr.files]


def _standardized(pictures: np.ndarray, memory_format):
    """uint8 [N,h,w,3], 0..255, to float32 [N,3,h,w] in [-1,1]."""
    channels_first = torch.from_numpy(pictures).permute(0, 3, 1, 2)
    return (channels_first.float() / 127.5 - 1).contiguous(memory_format=memory_format)


def _cross_entropy(logits, label: float):
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


def _perceptual(vgg19, sr, hr):
    small = [F.interpolate(picture, size=(VGG19_SIDE, VGG19_SIDE), mode="bilinear") for picture in (sr, hr)]
    with torch.no_grad():
        wanted = vgg19(small[1])
    return F.mse_loss(vgg19(small[0]), wanted)
