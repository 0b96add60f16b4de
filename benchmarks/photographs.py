"""Measure generators on LR pictures as people have them: six kinds, and clean ones, made from HR. Prints tables.

    python benchmarks/photographs.py --hr BSD100/HR photos
    python benchmarks/photographs.py --hr photos --every 3 --kinds phone scan --weights srgan output/srgan_g.pdparams
    python benchmarks/photographs.py --hr photos --real-esrgan realesrgan     beside Real-ESRGAN x4plus
    python benchmarks/photographs.py --hr photos --write kinds                the LR pictures, to be looked at

The kinds are made by Pillow, NumPy and SciPy, and share no code with the degradation that is trained on; their noise
depends on the picture's pixels alone. `clean` is MATLAB's bicubic.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import datetime
import io
import shlex
import zlib
from statistics import fmean

import numpy as np
from PIL import Image
from PIL.Image import Resampling
from PIL.ImageFilter import UnsharpMask
from scipy.ndimage import convolve, gaussian_filter
from tqdm import tqdm

from benchmarks.methods import add_method_flags, methods, read_lr
from benchmarks.side_by_side import cpu_name, table, versions
from common import command
from common.device import cores
from common.errors import InputError
from common.files import check_apart, replacing
from common.scale import SCALE
from data.degrade import bicubic
from data.hr_lr_pairs import pairs, read_pair
from data.lpips import COMMAND, WEIGHTS, Lpips, available
from data.pictures.writing import PNG_SIGNATURE
from infer.measuring.measure import figures_of

CLEAN = "clean"
GAMMA = 2.2  # roughly sRGB's
GREY = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
# What a pixel without a sample of its own gets from its neighbours, where a quarter or half of all have one.
OF_A_QUARTER, OF_HALF = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4, np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4
GRAIN = 0.6  # pixels: the standard deviation of the Gaussian that makes a scan's grain of white noise


def web(hr, rng):
    """A web site's smaller copy: Lanczos, lightly sharpened, JPEG 80."""
    return file(shrink(hr, SCALE, Resampling.LANCZOS).filter(UnsharpMask(0.6, 50, 2)), 80)


def messenger(hr, rng):
    """Sent, and sent on smaller: JPEG 82 at twice the size, then the means of 2×2 pixels, JPEG 65."""
    sent = Image.open(io.BytesIO(file(shrink(hr, 2, Resampling.BICUBIC), 82)))
    return file(shrink(np.asarray(sent), 2, Resampling.BOX), 65)


def phone(hr, rng):
    """A phone's own pixels, indoors: a small lens, noise whose colours are mostly filtered, sharpened, JPEG 92."""
    seen = expose(shrink(blur(hr, 0.4), SCALE, Resampling.BOX), 0.0015, 0.3, rng)
    return file(seen.filter(UnsharpMask(1.2, 80, 1)), 92)


def camera(hr, rng):
    """A compact camera of 2004: soft, noisy, sharpened with broad rims, JPEG 75."""
    seen = expose(shrink(blur(hr, 0.6), SCALE, Resampling.BOX), 0.005, 0.5, rng)
    return file(seen.filter(UnsharpMask(1.5, 70, 0)), 75, "4:2:2")


def defocus(hr, rng):
    """Out of focus: each point is an even disk of 3.5 LR pixels across; little noise, JPEG 88."""
    disk = np.hypot(*np.mgrid[-7:8, -7:8]) <= 1.75 * SCALE
    spread = convolve(hr.astype(float), disk[..., None] / disk.sum(), mode="mirror")
    return file(expose(shrink(levels(spread), SCALE, Resampling.BOX), 0.0006, 0.3, rng), 88)


def scan(hr, rng):
    """A scanned print: soft, with grain of 6 levels in grey and 2 in each colour, PNG."""
    soft = np.asarray(shrink(blur(hr, 0.7), SCALE, Resampling.BICUBIC), float)
    return file(Image.fromarray(levels(soft + 6 * grain(soft[..., :1].shape, rng) + 2 * grain(soft.shape, rng))))


def clean(hr, rng):
    """MATLAB's bicubic, PNG: the benchmarks' LR."""
    return file(Image.fromarray(bicubic(hr, SCALE)))


KINDS = {way.__name__: way for way in (clean, web, messenger, phone, camera, defocus, scan)}


def make_lr(kind: str, hr: np.ndarray) -> bytes:
    """The LR picture of a kind, a JPEG or PNG file, from HR, uint8 [h,w,3] with sides that are multiples of 4."""
    return KINDS[kind](hr, np.random.default_rng([zlib.crc32(kind.encode()), zlib.crc32(hr.tobytes())]))


def file(image: Image.Image, quality: int = 0, subsampling: str = "4:2:0") -> bytes:
    """The picture as a JPEG file, or as a PNG without quality."""
    stream = io.BytesIO()
    image.save(stream, "JPEG" if quality else "PNG", quality=quality, subsampling=subsampling)
    return stream.getvalue()


def levels(values: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(values, 0, 255)).astype("uint8")


def shrink(rgb: np.ndarray, divisor: int, resampling) -> Image.Image:
    return Image.fromarray(rgb).resize((rgb.shape[1] // divisor, rgb.shape[0] // divisor), resampling)


def blur(hr: np.ndarray, sigma: float) -> np.ndarray:
    """HR after a Gaussian blur with this standard deviation in LR pixels."""
    return levels(gaussian_filter(hr.astype(float), (SCALE * sigma, SCALE * sigma, 0)))


def expose(image: Image.Image, gain: float, colour: float, rng) -> Image.Image:
    """The picture with the noise of a sensor behind a Bayer mosaic, which is correlated by interpolation.

    gain: the noise's variance for light of 1, in proportion to the light, 0..1, and a hundredth of it without light.
    colour: the share of the noise's colours that the camera leaves; its grey is left.
    """
    light = (np.asarray(image, float) / 255) ** GAMMA
    noise = rng.standard_normal(light.shape) * np.sqrt(gain * (light + 0.01))
    down, across = np.indices(light.shape[:2]) % 2
    mosaic = (down + across == 0, OF_A_QUARTER), (down != across, OF_HALF), (down + across == 2, OF_A_QUARTER)
    for plane, (has_sample, kernel) in enumerate(mosaic):
        noise[..., plane] = convolve(noise[..., plane] * has_sample, kernel, mode="mirror")
    grey = (noise @ GREY)[..., None]
    return Image.fromarray(levels(255 * np.clip(light + grey + colour * (noise - grey), 0, 1) ** (1 / GAMMA)))


def grain(shape: tuple, rng) -> np.ndarray:
    """Noise [h,w,n] with a standard deviation of 1, correlated with its neighbours."""
    point = np.zeros((15, 15))
    point[7, 7] = 1
    filtered = gaussian_filter(rng.standard_normal(shape), (GRAIN, GRAIN, 0), mode="wrap")
    return filtered / np.linalg.norm(gaussian_filter(point, GRAIN))


def measure(paths: list, kinds: list, ways: dict, distance) -> dict:
    """{kind: {label: {figure: mean over the HR pictures}}}, with a progress bar. ways: from `methods`."""
    rows = {kind: {label: [] for label in ways} for kind in kinds}
    for path in tqdm(paths, unit="picture"):
        hr, _ = read_pair(path, None)
        for kind, of_kind in rows.items():
            given = read_lr(io.BytesIO(make_lr(kind, hr)))
            for label, way in ways.items():
                of_kind[label].append(figures_of(way(*given), hr, distance))
    return {kind: {label: mean(found) for label, found in of_kind.items()} for kind, of_kind in rows.items()}


def mean(rows: list) -> dict:
    return {key: fmean(row[key] for row in rows) for key in ("lpips", "psnr_y", "grid")}


def table_of(means: dict, ways: dict) -> str:
    """LPIPS and PSNR-Y for each kind, the best LPIPS bold; their mean without `clean`, and the grid's with it."""
    grids = (fmean(of_kind[way]["grid"] for of_kind in means.values()) for way in ways)
    kinds = [of_kind for kind, of_kind in means.items() if kind != CLEAN]
    if kinds:
        means = {**means, f"mean of {len(kinds)} kinds": {way: mean([each[way] for each in kinds]) for way in ways}}
    rows = []
    for kind, of_kind in means.items():
        best = min(figures["lpips"] for figures in of_kind.values())
        mark = {way: "**" if figures["lpips"] == best else "" for way, figures in of_kind.items()}
        rows.append([kind, *("{0}{lpips:.4f}{0} / {psnr_y:.2f}".format(mark[way], **of_kind[way]) for way in ways)])
    return table("|".join(["LPIPS / PSNR-Y", *ways]), [*rows, ["grid", *(f"{grid:.2f}" for grid in grids)]])


def write(paths: list, kinds: list, folder: Path) -> None:
    """Write folder/KIND/NAME.jpg or .png for each HR picture. Raises InputError if the file exists."""
    for path in tqdm(paths, unit="picture"):
        hr, _ = read_pair(path, None)
        for kind in kinds:
            content = make_lr(kind, hr)
            target = folder / kind / f"{path.stem}.{'png' if content.startswith(PNG_SIGNATURE) else 'jpg'}"
            if target.exists():
                raise InputError(f"{target} exists already: give --write another folder")
            with replacing(target) as temporary:
                temporary.write_bytes(content)


def main(arguments) -> None:
    given = [("--write", arguments.write), ("--real-esrgan", arguments.real_esrgan)]
    read = [("--weights", path) for path in arguments.weights]
    check_apart(read, folders=given, flat=[("--hr", folder) for folder in arguments.hr])
    folders = {folder: [hr for hr, _ in pairs(folder)][:: arguments.every] for folder in arguments.hr}
    if arguments.write:
        for paths in folders.values():
            write(paths, arguments.kinds, Path(arguments.write))
        return
    if not available():
        raise InputError(f"this command measures LPIPS, but {WEIGHTS} is missing; get it with: {COMMAND}")
    ways, distance = methods(arguments), Lpips()
    print(f"{cpu_name()}, {cores()} cores; {versions()}; {datetime.date.today()}")
    print(f"python benchmarks/photographs.py {shlex.join(sys.argv[1:])}")
    for folder, paths in folders.items():
        means = measure(paths, arguments.kinds, ways, distance)
        print(f"\n{folder}, mean of {len(paths)} pictures\n\n{table_of(means, ways)}", flush=True)


def parser():
    result = command.parser(__doc__)
    result.add_argument("--hr", metavar="DIR", nargs="+", required=True, help="folders of HR; a table for each")
    text = "take every N-th picture of a folder (default: 1)"
    result.add_argument("--every", metavar="N", type=command.positive, default=1, help=text)
    text = f"default: {' '.join(KINDS)}"
    result.add_argument("--kinds", metavar="KIND", nargs="+", choices=KINDS, default=list(KINDS), help=text)
    add_method_flags(result)
    result.add_argument("--write", metavar="DIR", help="write the LR pictures to DIR/KIND, and measure nothing")
    return result


if __name__ == "__main__":
    command.run(parser().parse_args(), main)
