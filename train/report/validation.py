"""Validation during training, as by `infer/evaluate.py --hr DIR` (PSNR equal to some 1e-6 dB)."""

import numpy as np
from tqdm import tqdm

from data import lpips
from data.hr_lr_pairs import SHAVE, pairs, read_pair
from data.metrics import grid, psnr_y, ssim_y
from data.pictures.images import all_of
from train.report import samples


def pictures(folder, with_lpips: bool = False) -> list:
    """The HR pictures of `folder`, for `measure`. Raises InputError naming all that cannot be measured on.

    with_lpips: LPIPS is measured too, for which a picture must be larger.
    """
    found = pairs(folder)

    def check(pair):
        hr, _ = read_pair(*pair)
        if with_lpips:
            remedy = f". Take it out of --valid, or move {lpips.WEIGHTS} away to train without LPIPS"
            lpips.check_size(hr, pair[0], remedy)

    all_of(tqdm(found, "checking the validation pictures", leave=False), check)
    return found


def measure(generator, pictures: list, check_stop=lambda: None, distance=None) -> dict:
    """The mean PSNR in dB and SSIM on Y, grid and LPIPS of the pictures, named as in `train.report.log_csv`.

    generator: a `models.generator.Generator` in eval mode. pictures: what `pictures` gives; each is cut to multiples of
    4, shrunk bicubically and upscaled whole, which on a CPU takes 1 kB of memory for each pixel of HR; 4 pixels along
    each border do not count for PSNR and SSIM. check_stop: called after each picture; what it raises ends it.
    distance: a `data.lpips.Lpips`, or None to leave LPIPS out.
    """
    figures = []
    for pair in tqdm(pictures, "validation", unit="picture", leave=False):
        hr, lr = read_pair(*pair)
        sr = samples.sample_sr(generator, lr[np.newaxis])[0]
        figures.append(
            {
                "valid_psnr": psnr_y(sr, hr, SHAVE),
                "valid_ssim": ssim_y(sr, hr, SHAVE),
                **({"valid_lpips": distance(sr, hr)} if distance else {}),
                "valid_grid": grid(sr),
            }
        )
        check_stop()
    return {name: float(np.mean([row[name] for row in figures])) for name in figures[0]}
