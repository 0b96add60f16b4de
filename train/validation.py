"""PSNR and SSIM of a generator in training, measured as `infer/evaluate.py --hr DIR` does (equal to some 1e-6 dB)."""

import numpy as np
from tqdm import tqdm

from data.metrics import psnr_y, ssim_y
from data.pairs import SHAVE, pairs, read_pair
from train import samples


def pictures(folder) -> list:
    """The HR pictures of `folder`, for `measure`. Raises InputError naming the first that cannot be measured on."""
    found = pairs(folder)
    for pair in tqdm(found, "checking the validation pictures", leave=False):
        read_pair(*pair)
    return found


def measure(generator, pictures: list, between=lambda: None) -> dict:
    """The means over the pictures of PSNR in dB and SSIM on Y: {'valid_psnr', 'valid_ssim'}.

    generator: a `models.generator.Generator` in eval mode. pictures: what `pictures` gives; each is cut to multiples of
    4, shrunk bicubically and upscaled whole, which on a CPU takes 1 kB of memory for each pixel of HR; 4 pixels along
    each border do not count. between: called after each picture; what it raises ends the measuring.
    """
    figures = []
    for pair in tqdm(pictures, "validation", unit="picture", leave=False):
        hr, lr = read_pair(*pair)
        sr = samples.upscale(generator, lr[np.newaxis])[0]
        figures.append((psnr_y(sr, hr, SHAVE), ssim_y(sr, hr, SHAVE)))
        between()
    psnr, ssim = np.mean(figures, axis=0)
    return {"valid_psnr": float(psnr), "valid_ssim": float(ssim)}
