"""Read damaged weights, checkpoints, archives and pictures: each is read in full or refused by the project's own error.

    python benchmarks/fuzz.py                                   # 2,000 cases of each kind, a few minutes
    python benchmarks/fuzz.py --cases 100000 --seed 7 --kinds weights

Each case follows from the seed and its number, so a run can be repeated. It stops at the first reader that raises
anything but InputError, returns other arrays than the checkpoint had or something else than arrays, leaves files
outside the folder it unpacks to, or takes longer than a minute. The case's file is then in the folder fuzzed/.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import io
import pickle
import random
import shutil
import signal

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

FOLDER = Path("fuzzed")
SECONDS = 60  # that a case may take
ARRAYS = {"head_conv.weight": np.arange(108, dtype="float32").reshape(4, 3, 3, 3), "counter": np.array([1, 2, 3])}
NOTE = {"progress": {"epoch": 1, "step": 0}}
NOISE = np.random.default_rng(0).integers(0, 256, (40, 56, 4), dtype=np.uint8)
PICTURES = (("PNG", "RGBA"), ("PNG", "P"), ("JPEG", "RGB"), ("JPEG", "CMYK"), ("WEBP", "RGBA"), ("BMP", "RGB"))
TIFFS = (None, "tiff_lzw", "tiff_adobe_deflate", "jpeg")


def damage(content: bytes, rng: random.Random) -> bytes:
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


def whole_files(kind: str, folder: Path) -> list:
    """[(file name, bytes)]: sound files of a kind, one for each kind of code that reads them."""
    if kind == "weights":
        return [("case.pdparams", pickle.dumps(ARRAYS, protocol)) for protocol in (2, 4)]
    if kind == "checkpoints":
        checkpoint.save(folder / "whole.npz", ARRAYS, NOTE)
        return [("case.npz", (folder / "whole.npz").read_bytes())]
    if kind == "archives":
        (folder / "whole/below").mkdir(parents=True)
        for name in ("a.png", "below/b.png"):
            (folder / "whole" / name).write_bytes(NOISE[:4].tobytes())
        made = [Path(shutil.make_archive(folder / "whole", form, folder, "whole")) for form in ("zip", "gztar")]
        return [(f"case{''.join(path.suffixes)}", path.read_bytes()) for path in made]
    settings: list = [{"mode": mode, "format": name} for name, mode in PICTURES]
    settings += [{"mode": "RGB", "format": "TIFF", "compression": compression} for compression in TIFFS]
    return [("case", encode_picture(**each)) for each in settings]


def encode_picture(mode: str, **settings) -> bytes:
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
        archives.unpack(path, path.parent / "unpacked")
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


def fuzz(kind: str, cases: int, seed: int) -> dict:
    """{outcome: cases} of one kind. Raises what a reader raised; its file is then in FOLDER."""
    whole = whole_files(kind, FOLDER)
    outcomes = {"read": 0, "refused": 0}
    for case in tqdm(range(cases), desc=kind, disable=None):
        rng = random.Random(f"{seed} {kind} {case}")
        name, content = rng.choice(whole)
        (FOLDER / name).write_bytes(damage(content, rng))
        signal.alarm(SECONDS)  # its signal ends the process
        try:
            READERS[kind](FOLDER / name)
            outcomes["read"] += 1
        except InputError as error:
            assert name in str(error), error
            outcomes["refused"] += 1
        finally:
            signal.alarm(0)
    return outcomes


def main(arguments) -> None:
    FOLDER.mkdir(exist_ok=True)
    for kind in arguments.kinds:
        outcomes = fuzz(kind, arguments.cases, arguments.seed)
        print(f"{kind}:", ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items()), flush=True)
    shutil.rmtree(FOLDER)


def parser():
    result = command.parser(__doc__)
    result.add_argument("--cases", metavar="N", type=command.positive, default=2000, help="of each (default: 2000)")
    result.add_argument("--seed", metavar="N", type=command.count, default=0, help="(default: 0)")
    result.add_argument("--kinds", nargs="+", choices=READERS, default=list(READERS), help="(default: all)")
    return result


if __name__ == "__main__":
    command.run(parser().parse_args(), main)
