"""Validation during training: PSNR, SSIM, LPIPS and grid of whole pictures.

They are the network's alone; `infer/evaluate.py` measures it with the borders and colours that `infer/` corrects.
"""

import numpy as np
from tqdm import tqdm

from common.scale import SCALE
from data import lpips
from data.hr_lr_pairs import SHAVE, pairs, read_pair
from data.metrics import grid, psnr_y, ssim_y
from data.pictures.images import all_of
from models.settings import REACH
from train.report import samples

TILE = 128  # LR pixels: a tile's side


def find_pictures(folder, lr_folder=None, with_lpips: bool = False) -> list:
    """[(HR file, LR file or None)] of `folder`, for `measure`. Raises InputError naming all unusable ones.

    with_lpips: whether LPIPS is measured too, which needs larger pictures.
    """
    files = pairs(folder, lr_folder)

    def check(pair):
        hr, _ = read_pair(*pair)
        if with_lpips:
            lpips.check_size(
                hr, pair[0], f". Take it out of --valid, or move {lpips.WEIGHTS} away to train without LPIPS"
            )

    all_of(tqdm(files, "checking the validation pictures", leave=False), check)
    return files


def measure(generator, pictures: list, lr_of=None, check_stop=lambda: None, distance=None) -> dict:
    """The mean PSNR in dB and SSIM on Y, grid and LPIPS of the pictures, named as in `train.report.log_csv`.

    generator: a `models.generator.Generator` in eval mode. pictures: from `find_pictures`; each is cropped to
    multiples of 4 and upscaled in tiles; PSNR and SSIM ignore 4 pixels along each border. lr_of: called with HR and its
    file's name, makes the LR of a picture without an LR file; None: bicubic. check_stop: called after each picture; an
    exception that it raises ends the measurement. distance: a `data.lpips.Lpips`, or None to leave LPIPS out.
    """
    figures = []
    for hr_file, lr_file in tqdm(pictures, "validation", unit="picture", leave=False):
        hr, lr = read_pair(hr_file, lr_file)
        if lr_of and lr_file is None:
            lr = lr_of(hr, hr_file.name)
        sr = upscale(generator, lr)
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


def upscale(generator, lr: np.ndarray) -> np.ndarray:
    """SR of a picture, uint8 [h,w,3] to [4h,4w,3], in tiles that see all they depend on: memory is bounded."""
    height, width = lr.shape[:2]
    sr = np.empty((SCALE * height, SCALE * width, 3), np.uint8)
    for y in range(0, height, TILE):
        for x in range(0, width, TILE):
            top, left = max(0, y - REACH), max(0, x - REACH)
            seen = lr[np.newaxis, top : y + TILE + REACH, left : x + TILE + REACH]
            tile = samples.sample_sr(generator, seen)[0][SCALE * (y - top) :, SCALE * (x - left) :]
            target = sr[SCALE * y : SCALE * (y + TILE), SCALE * x : SCALE * (x + TILE)]
            target[:] = tile[: target.shape[0], : target.shape[1]]
    return sr
