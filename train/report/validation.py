"""Validation during training, as in `infer/evaluate.py --hr DIR` (PSNR agrees to about 1e-6 dB)."""

import numpy as np
from tqdm import tqdm

from data import lpips
from data.hr_lr_pairs import SHAVE, pairs, read_pair
from data.metrics import grid, psnr_y, ssim_y
from data.pictures.images import all_of
from train.report import samples


def pictures(folder, with_lpips: bool = False) -> list:
    """The HR pictures of `folder`, for `measure`. Raises InputError naming all unusable ones.

    with_lpips: whether LPIPS is measured too, which needs larger pictures.
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

    generator: a `models.generator.Generator` in eval mode. pictures: from the function `pictures`; each is cropped to
    multiples of 4, shrunk bicubically and upscaled whole, which on a CPU takes 1 kB of memory per HR pixel; PSNR and
    SSIM ignore 4 pixels along each border. check_stop: called after each picture; an exception that it raises ends the
    measurement. distance: a `data.lpips.Lpips`, or None to leave LPIPS out.
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
