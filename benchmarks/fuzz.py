"""Read damaged weights, checkpoints, archives and pictures: each is read in full or refused by the project's own error.

    python benchmarks/fuzz.py                                   # 2,000 cases of each kind, a few minutes
    python benchmarks/fuzz.py --cases 100000 --seed 7 --kinds weights

Each case follows from the seed and its number, so a run can be repeated. A case fails if the reader returns something
else than arrays, raises anything but InputError, returns other arrays than the checkpoint had, or leaves files outside
the folder it unpacks to. The files of failed cases are kept in --keep; where a decoder ends the process, or takes
longer than a minute, its file is DIR/case.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import io
import pickle
import random
import shutil
import signal
import tarfile
import traceback
import zipfile

import numpy as np
from PIL import Image
from tqdm import tqdm

from common import command
from common.errors import InputError
from data import archives
from data.pictures.images import read_rgb
from data.pictures.reading import read_picture
from models.weight_files.weights import read_pdparams
from train.run import checkpoint

SECONDS = 60  # that a case may take
ARRAYS = {"head_conv.weight": np.arange(108, dtype="float32").reshape(4, 3, 3, 3), "counter": np.array([1, 2, 3])}
NOTE = {"progress": {"epoch": 1, "step": 0}}
NOISE = np.random.default_rng(0).integers(0, 256, (40, 56, 4), dtype=np.uint8)
PICTURES = (("PNG", "RGBA"), ("PNG", "P"), ("JPEG", "RGB"), ("JPEG", "CMYK"), ("WEBP", "RGBA"), ("BMP", "RGB"))
TIFFS = (None, "tiff_lzw", "tiff_adobe_deflate", "jpeg")


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The file with some bits flipped and some pieces overwritten, removed or repeated; or cut."""
    content = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 5, 30))):
        start = rng.randrange(len(content))
        end = start + rng.choice((1, 2, 8, 46, 200))
        way = rng.randrange(9)
        if way < 5:
            content[start] ^= 1 << rng.randrange(8)
        elif way == 5:
            content[start : start + 4] = rng.choice((b"\0" * 4, b"\xff" * 4, b"\xff\xff\xff\x7f", b"\0\1\0\0"))
        elif way == 6:
            content[start:start] = content[start:end] * rng.choice((1, 100))
        elif way == 7 and len(content) > 300:
            del content[start:end]
        elif way == 8 and start:
            del content[start:]
    return bytes(content)


def whole_files(folder: Path) -> dict:
    """{kind: [(file name, bytes)]}: sound files, one for each kind of code that reads them."""
    checkpoint.save(folder / "whole.npz", ARRAYS, NOTE)
    archive, tar = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("top/a.png", "top/b/c.png"):
            file.writestr(name, NOISE[:4].tobytes())
    with tarfile.open(fileobj=tar, mode="w:gz") as file:
        for name in ("top/a.png", "top/b/c.png"):
            member = tarfile.TarInfo(name)
            member.size = NOISE[:4].nbytes
            file.addfile(member, io.BytesIO(NOISE[:4].tobytes()))
    return {
        "weights": [("case.pdparams", pickle.dumps(ARRAYS, protocol)) for protocol in (2, 4)],
        "checkpoints": [("case.npz", (folder / "whole.npz").read_bytes())],
        "archives": [("case.zip", archive.getvalue()), ("case.tar.gz", tar.getvalue())],
        "pictures": [
            *(("case", picture(mode, format=name)) for name, mode in PICTURES),
            *(("case", picture("RGB", format="TIFF", compression=compression)) for compression in TIFFS),
        ],
    }


def picture(mode: str, **settings) -> bytes:
    """A small picture with EXIF, as bytes."""
    exif, stream = Image.Exif(), io.BytesIO()
    exif.update({0x0112: 6, 0x010F: "maker"})
    image = Image.fromarray(NOISE)
    image = image.quantize(16, Image.Quantize.FASTOCTREE) if mode == "P" else image.convert(mode)
    image.save(stream, **settings, **({} if settings["format"] == "BMP" else {"exif": exif}))
    return stream.getvalue()


def read_weights(path: Path) -> None:
    for name, array in read_pdparams(path).items():
        assert isinstance(name, str) and array.dtype.kind in "fiub"


def read_checkpoint(path: Path) -> None:
    arrays, note = checkpoint.load(path)
    assert note["progress"] == NOTE["progress"] and arrays.keys() == ARRAYS.keys()
    assert all(np.array_equal(arrays[name], array) for name, array in ARRAYS.items()), "other arrays"


def read_archive(path: Path) -> None:
    before = set(path.parent.iterdir())
    try:
        archives.unpack(path, path.parent / "unpacked", one_folder=False)
    finally:
        shutil.rmtree(path.parent / "unpacked", ignore_errors=True)
        assert set(path.parent.iterdir()) == before, "files outside the folder"


def read_pictures(path: Path) -> None:
    """As upscaling and as training do."""
    height, width = read_picture(path).colour.shape[:2]
    assert read_rgb(path).shape == (height, width, 3)


READERS = {
    "weights": read_weights,
    "checkpoints": read_checkpoint,
    "archives": read_archive,
    "pictures": read_pictures,
}


def fuzz(kind: str, cases: int, seed: int, folder: Path) -> dict:
    """{outcome: cases} of one kind. Failed cases are printed and kept in `folder`."""
    whole = whole_files(folder)[kind]
    outcomes = {"read": 0, "refused": 0, "failed": 0}
    for case in tqdm(range(cases), desc=kind, disable=None):
        rng = random.Random(f"{seed} {kind} {case}")
        name, content = rng.choice(whole)
        path = folder / name
        path.write_bytes(damaged(content, rng))
        signal.alarm(SECONDS)  # its signal ends the process
        try:
            READERS[kind](path)
            outcome = "read"
        except InputError as error:
            outcome = "refused" if name in str(error) else "failed"
        except Exception:  # noqa: BLE001  what fuzzing looks for
            traceback.print_exc()
            outcome = "failed"
        signal.alarm(0)
        outcomes[outcome] += 1
        if outcome == "failed":
            shutil.copy(path, folder / f"{kind}-{seed}-{case}")
    return outcomes


def main(arguments) -> None:
    folder = Path(arguments.keep)
    folder.mkdir(parents=True, exist_ok=True)
    failed = 0
    for kind in arguments.kinds:
        outcomes = fuzz(kind, arguments.cases, arguments.seed, folder)
        print(f"{kind}:", ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items()), flush=True)
        failed += outcomes["failed"]
    if failed:
        raise InputError(f"{failed} cases failed; their files are in {folder}")


def parser():
    result = command.parser(__doc__)
    result.add_argument("--cases", metavar="N", type=command.positive, default=2000, help="of each (default: 2000)")
    result.add_argument("--seed", metavar="N", type=command.count, default=0, help="(default: 0)")
    result.add_argument("--kinds", nargs="+", choices=READERS, default=list(READERS), help="(default: all)")
    result.add_argument("--keep", metavar="DIR", default="fuzz-failures", help="for its files (default: fuzz-failures)")
    return result


if __name__ == "__main__":
    command.run(parser().parse_args(), main)
