"""Read damaged and hostile weights, checkpoints, archives and pictures, and print how the readers treated them (Linux).

    python benchmarks/fuzz.py                          # 2,000 cases of each kind; takes minutes
    python benchmarks/fuzz.py --cases 100000 --seed 7 --kinds weights --keep failures

Each case is determined by the seed and its number, so a run can be repeated. A case fails if the reader returns
anything except arrays, raises anything except the project's own error, returns other arrays than the checkpoint had,
unpacks an archive to another place or to more than is allowed, or takes more than 5 seconds of CPU time or more memory
than 64 MB + 8 × the file's size (a picture: 300 MB + 24 bytes per pixel). Files of failed cases are kept. The exit
status is 1 if any case failed or a process died; a process is killed if a case takes a minute of wall-clock time. The
gate reads 2,000 cases of each kind.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import bz2
import contextlib
import faulthandler
import functools
import gzip
import io
import json
import lzma
import multiprocessing
import os
import pickle
import pickletools
import random
import re
import shutil
import signal
import tarfile
import tempfile
import time
import traceback
import zipfile
import zlib
from unittest import mock

import numpy as np
import tifffile
from PIL import Image

from common import command
from common.errors import InputError
from data import archives, lpips
from data.pictures.images import read_rgb
from data.pictures.picture import MAX_PIXELS
from data.pictures.reading import pixels_of, read_picture
from data.pictures.writing import lost
from models.weight_files.weights import read_pdparams
from train.run import checkpoint

MEMORY, MEMORY_PER_BYTE = 64 * 2**20, 8
PICTURE_MEMORY, MEMORY_PER_PIXEL = 300 * 2**20, 24
SECONDS = 5  # of the processor, as others may use it too
HANGS = 60  # seconds of wall-clock time
LARGEST = 20_000  # about so many operations per case
NOTE = {"progress": {"epoch": 1, "step": 0}}
GIVEN = {
    "head_conv.weight": np.arange(108, dtype="float32").reshape(4, 3, 3, 3),
    "head_conv.bias": np.zeros(4, "float32"),
    "counter": np.array([1, 2, 3]),
}
NUMBERS = (0, 1, 2, 127, 128, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63, 2**64 - 1)
GLOBALS = (
    b"cnumpy\ndtype\n",
    b"cnumpy\nndarray\n",
    b"cnumpy.core.multiarray\n_reconstruct\n",
    b"c_codecs\nencode\n",
    b"ccollections\nOrderedDict\n",
    b"cos\nsystem\n",
)
TEXTS = (b"weight", b"latin1", b"f4", b"O", b"<", b">", b"b", "😀".encode())


def number(luck: random.Random, length: int) -> bytes:
    value = luck.choice(NUMBERS) if luck.random() < 0.3 else luck.randrange(20)
    return (value % 256**length).to_bytes(length, "little")


def operation(luck: random.Random) -> bytes:
    """One pickle operation, usually with a matching argument."""
    if luck.random() < 0.2:
        return luck.choice(GLOBALS)
    chosen = luck.choice(pickletools.opcodes)
    code = chosen.code.encode("latin1")
    if chosen.arg is None:
        return code
    length = chosen.arg.n
    if length >= 0:
        return code + number(luck, length)
    if length == pickletools.UP_TO_NEWLINE:
        return code + luck.choice(TEXTS) + b"\n"
    prefix = {pickletools.TAKEN_FROM_ARGUMENT1: 1, pickletools.TAKEN_FROM_ARGUMENT8U: 8}.get(length, 4)
    content = (luck.choice(TEXTS) * luck.choice((0, 1, 1, 1, 100)))[:200]
    return code + (number(luck, prefix) if luck.random() < 0.1 else len(content).to_bytes(prefix, "little")) + content


def damaged(content: bytes, luck: random.Random, first: int = 0) -> bytes:
    """The file with some bits flipped, numbers set, pieces cut out, repeated or moved, from byte `first` on; or cut."""
    content = bytearray(content)
    for _ in range(luck.choice((1, 1, 1, 2, 5, 30))):
        place = luck.randrange(min(first, len(content) - 1), len(content))
        end = min(len(content), place + luck.choice((1, 2, 8, 46, 200)))
        way = luck.randrange(7)
        if way < 3:
            content[place] ^= 1 << luck.randrange(8)
        elif way == 3:
            length = luck.choice((1, 2, 4, 8))
            content[place : place + length] = number(luck, length)
        elif way == 4 and len(content) > 300:
            del content[place:end]
        elif way == 5:
            content[place:place] = content[place:end] * luck.choice((1, 2, 100))
        elif way == 6 and luck.random() < 0.3 and place:
            del content[place:]
    return bytes(content)


def weights_case(luck: random.Random) -> bytes:
    """Yields damaged pickles of arrays, and random operations, endlessly."""
    whole = pickle.dumps({**GIVEN, "swapped": np.array([1, 2], ">f4")}, protocol=luck.choice((2, 3, 4, 5)))
    if luck.random() < 0.5:
        return damaged(whole, luck)
    parts = b"".join(operation(luck) for _ in range(luck.randrange(1, 30)))
    parts *= luck.choice((1, 1, 1, LARGEST // 30))
    if luck.random() < 0.3:  # within a file that begins correctly
        ends = [place for _, _, place in pickletools.genops(whole)]
        place = luck.choice(ends)
        return whole[:place] + parts + whole[place:]
    return b"\x80\x04" + parts + b"."


def read_weights(path) -> None:
    for name, array in read_pdparams(path).items():
        assert isinstance(name, str) and array.dtype.kind in "fiub" and array.dtype.isnative


@functools.lru_cache(maxsize=None)
def whole_checkpoints() -> tuple:
    """The bytes of a checkpoint, and of an older one without a digest."""
    with tempfile.TemporaryDirectory() as folder:
        path = checkpoint.path_of(folder, 1, 0)
        checkpoint.save(path, GIVEN, NOTE)
        older = io.BytesIO()
        note = np.frombuffer(json.dumps({"format": checkpoint.FORMAT, **NOTE}).encode(), "uint8")
        np.savez(older, note=note, **GIVEN)
        return path.read_bytes(), older.getvalue()


def checkpoint_case(luck: random.Random) -> bytes:
    """A damaged checkpoint: damaged anywhere, in its directory, or after a header of its archive."""
    whole = luck.choice(whole_checkpoints())
    places = [0, whole.index(b"PK\1\2")]
    for signature in (b"PK\3\4", b"PK\1\2", b"\x93NUMPY"):
        places.append(whole.index(signature, luck.randrange(whole.rindex(signature) + 1)))
    return damaged(whole, luck, luck.choice(places))


def read_checkpoint(path) -> None:
    arrays, note = checkpoint.load(path)
    assert note == {"format": checkpoint.FORMAT, **NOTE}, "another note"
    assert arrays.keys() == GIVEN.keys(), "other names"
    for name, array in GIVEN.items():
        assert arrays[name].dtype == array.dtype and np.array_equal(arrays[name], array), f"another {name}"


# Those of the network would take 10 MB a case.
SMALL_LPIPS = {name: shape[:1] if len(shape) == 1 else (2, 3, 1, 1) for name, shape in lpips.SHAPES.items()}


@functools.lru_cache(maxsize=None)
def whole_lpips() -> dict:
    """{member: its bytes} of a file of LPIPS's weights, of fewer numbers."""
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(lpips, "SHAPES", SMALL_LPIPS):
        path = Path(folder) / lpips.FILE
        lpips.write(path, {name: np.ones(shape, "float32") for name, shape in SMALL_LPIPS.items()})
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


def lpips_case(luck: random.Random) -> bytes:
    """LPIPS's weights of which an array was damaged, or its header claims more, or all of the archive was damaged."""
    members = dict(whole_lpips())
    name = luck.choice(list(members))
    way = luck.randrange(5)
    if way == 0:
        members[name] = damaged(members[name][:200], luck) + members[name][200:]
    elif way == 1:
        claimed = b", ".join(str(luck.choice(NUMBERS)).encode() for _ in range(luck.choice((1, 1, 2, 4, 40))))
        header = re.sub(rb"\([\d, ]*\)", b"(" + claimed + b",)", members[name][:128], count=1)
        members[name] = header + members[name][128:]
    elif way == 2:
        members[name] += bytes(luck.choice((1, 1000, 10**6)))
    elif way == 3:
        members.update({f"{i}.npy": b"" for i in range(luck.choice((1, 1, 400)))})
    content = zipped(members, luck.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))
    places = (0, content.index(b"PK\1\2"), len(content) - 22)
    return content if luck.random() < 0.4 else damaged(content, luck, luck.choice(places))


def zipped(members: dict, method: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return stream.getvalue()


def read_lpips(path) -> None:
    with mock.patch.object(lpips, "SHAPES", SMALL_LPIPS):
        found = lpips.read(path)
    assert {name: array.shape for name, array in found.items()} == SMALL_LPIPS


NAMES = ("a.png", "folder/b.png", "ü" * 90 + "/" + "x" * 100 + ".png", "a/" * 4 + "c.png", "d.png")
# Those that no archive should have, and one that a file system might not.
ODD_NAMES = ("../x", "/x", "a/../../x", "C:x", "A.PNG", "a.png/x", "a" * 300, "b/" * 2000, "\\x", "x\0y", "", ".", "//")


def odd_names(luck: random.Random) -> list:
    """The names of an archive's members: some of NAMES, seldom with odd ones or very many."""
    names = list(NAMES[: luck.randrange(1, 6)])
    if luck.random() < 0.3:
        names.insert(luck.randrange(len(names) + 1), luck.choice(ODD_NAMES))
    if luck.random() < 0.01:
        names += [f"{i}.png" for i in range(100)]
    return names


def zip_case(luck: random.Random) -> bytes:
    """A zip archive that was damaged: anywhere, in its directory or at its end; or one with odd names."""
    content = luck.choice((b"", bytes(200), bytes(10**5), luck.getrandbits(8000).to_bytes(1000, "big")))
    method = luck.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    whole = zipped({name: b"" if name.endswith("/") else content for name in odd_names(luck)}, method)
    place = luck.choice((0, whole.index(b"PK\1\2"), len(whole) - 22))
    return whole if luck.random() < 0.3 else damaged(whole, luck, place)


def tar_case(luck: random.Random) -> bytes:
    """A tar archive that was damaged, within or once it was packed; half of the time its sums are put right."""
    stream = io.BytesIO()
    form = luck.choice((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.PAX_FORMAT))
    for_all = {f"key{i}": "x" * luck.choice((1, 100)) for i in range(luck.choice((0, 0, 1, 100)))}
    content = luck.getrandbits(8000).to_bytes(1000, "big")
    with tarfile.open(fileobj=stream, mode="w", format=form, pax_headers=for_all) as archive:
        for name in odd_names(luck):
            member = tarfile.TarInfo(name)
            if luck.random() < 0.2:
                member.type = luck.choice((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE))
                member.linkname = luck.choice(("x", "y" * 200))
            else:
                member.size = luck.choice((0, 10, 1000))
            if luck.random() < 0.1:
                values = {"size": str(luck.choice(NUMBERS)), "GNU.sparse.major": "1", "comment": "1" * 10**5}
                key = luck.choice(list(values))
                member.pax_headers = {key: values[key]}
            archive.addfile(member, io.BytesIO(content))
    whole = stream.getvalue()
    # The other two take longer than all the rest.
    packer = luck.choice((bytes, gzip.compress) if luck.random() < 0.9 else (bz2.compress, lzma.compress))
    if luck.random() < 0.3:
        return packer(whole)
    if luck.random() < 0.3:
        return damaged(packer(whole), luck)
    place = 512 * luck.randrange(len(whole) // 512)
    whole = whole[:place] + damaged(whole[place : place + 512], luck) + whole[place + 512 :]
    return packer(with_tar_sums(whole) if luck.random() < 0.5 else whole)


def with_tar_sums(tar: bytes) -> bytes:
    """A tar archive with the right sum in each header."""
    result = bytearray(tar)
    for place in range(0, len(tar) - 511, 512):
        if tar[place + 257 : place + 262] == b"ustar":
            total = sum(tar[place : place + 148]) + 8 * 32 + sum(tar[place + 156 : place + 512])
            result[place + 148 : place + 156] = b"%06o\0 " % total
    return bytes(result)


def read_archive(path) -> None:
    """List and unpack it. Raises InputError as that does."""
    folder = path.parent / "unpacked"
    listed = archives.members(path)
    try:
        # Without the bar, and the files need not last.
        with contextlib.redirect_stderr(io.StringIO()), mock.patch.object(os, "fsync"):
            archives.unpack(path, folder, one_folder=False)
        files = [file for file in folder.rglob("*") if not file.is_dir()]
        assert len(files) == len(listed) and all(file.is_file() and not file.is_symlink() for file in files)
        unpacked = sum(file.stat().st_size for file in files)
        assert unpacked <= archives.MAX_UNPACKED_RATIO * path.stat().st_size
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        assert os.listdir(path.parent) == [path.name], "something else is there"


@functools.lru_cache(maxsize=None)
def whole_pictures() -> tuple:
    """The bytes of small pictures, one for each kind that a decoder has separate code for."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 56, 4), dtype=np.uint8)
    noise[8:32] = noise[8]
    rgba = Image.fromarray(noise)
    rgb, grey, palette = rgba.convert("RGB"), rgba.convert("L"), rgba.convert("RGB").quantize(16)
    exif = Image.Exif()
    exif.update({0x0112: 6, 0x010F: "maker", 0x8769: {0x9003: "2024:01:01 00:00:00"}})
    made = []
    for image, settings in (
        *((image, {"format": "PNG", "exif": exif}) for image in (rgba, rgb, grey, palette, grey.convert("1"))),
        *((image, {"format": "JPEG", "exif": exif, "dpi": (72, 72)}) for image in (rgb, grey, rgb.convert("CMYK"))),
        *((rgb, {"format": "JPEG", "progressive": True, "quality": quality}) for quality in (30, 95)),
        *((rgba, {"format": "WEBP", "lossless": lossless, "exif": exif}) for lossless in (True, False)),
        (rgba, {"format": "WEBP", "save_all": True, "append_images": [rgb.convert("RGBA")]}),
        (rgb, {"format": "PNG", "save_all": True, "append_images": [rgb]}),
        *((image, {"format": "BMP"}) for image in (rgb, rgba, palette, grey.convert("1"))),
        *(
            (rgb, {"format": "TIFF", "compression": packed})
            for packed in (None, "tiff_lzw", "packbits", "tiff_adobe_deflate", "jpeg", "lzma", "zstd")
        ),
        (grey.convert("1"), {"format": "TIFF", "compression": "group4"}),
        (rgb, {"format": "TIFF", "save_all": True, "append_images": [rgb, rgb]}),
    ):
        stream = io.BytesIO()
        image.save(stream, **settings)
        made.append(stream.getvalue())
    for deep, settings in (
        (noise[..., :3].astype(np.uint16) * 257, {"photometric": "rgb", "tile": (16, 16), "compression": "zlib"}),
        (noise.astype(np.uint16) * 257, {"photometric": "rgb", "bigtiff": True, "extrasamples": ["unassalpha"]}),
        *(
            (planes, {"photometric": "rgb", "planarconfig": "separate", "tile": tile, "compression": packed})
            for planes in (noise[..., :3].transpose(2, 0, 1).copy(),)
            for tile in (None, (16, 16))
            for packed in (None, "zlib")
        ),
        (noise[..., :3].copy(), {"photometric": "rgb", "tile": (16, 32)}),
    ):
        stream = io.BytesIO()
        tifffile.imwrite(stream, deep, **settings)
        made.append(stream.getvalue())
    # BMP's run lengths: runs, a step, pixels as they are, the ends of a line and of all.
    runs = b"".join(bytes((count, count)) for count in range(1, 57))
    for bits, method, pixels in (
        (8, 1, runs + b"\0\0\0\2\3\1\0\1"),
        (8, 1, b"\0\3\1\2\3\0\0\0" + runs + b"\0\1"),
        (4, 2, b"\0\5\x12\x34\x50\0\0\0" + runs + b"\0\2\3\1\0\1"),
    ):
        header = np.array([40, 56, 40, 1 | bits << 16, method, len(pixels), 0, 0, 2**bits, 2**bits], "<u4").tobytes()
        start = 54 + 4 * 2**bits
        sizes = np.array([start + len(pixels), 0, start], "<u4").tobytes()
        made.append(b"BM" + sizes + header + bytes(range(256))[: 2**bits] * 4 + pixels)
    return tuple(made)


def picture_case(luck: random.Random) -> bytes:
    """A damaged picture, mostly damaged before its pixels; half of the time a PNG's checksums are corrected."""
    whole = luck.choice(whole_pictures())
    if luck.random() < 0.3:
        whole = enlarged(whole, luck)
    content = damaged(whole[:400], luck) + whole[400:] if luck.random() < 0.6 else damaged(whole, luck)
    return with_sums(content) if content.startswith(b"\x89PNG") and luck.random() < 0.5 else content


def enlarged(content: bytes, luck: random.Random) -> bytes:
    """A picture whose header, and usually other numbers before the pixels, claim a larger size."""
    head = content[:400]
    for side in (40, 56):
        claimed = luck.choice((side, 1000, 7000, 60_000))
        for order in ("little", "big"):
            for length in (4, 2):
                head = head.replace(side.to_bytes(length, order), claimed.to_bytes(length, order), 3)
    return head + content[400:]


def with_sums(png: bytes) -> bytes:
    """A PNG with the right checksum after each chunk."""
    result, place = bytearray(png), 8
    while place + 12 <= len(png):
        end = place + 8 + int.from_bytes(png[place : place + 4], "big")
        if end + 4 > len(png):
            break
        result[end : end + 4] = zlib.crc32(png[place + 4 : end]).to_bytes(4, "big")
        place = end + 4
    return bytes(result)


def read_pictures(path) -> int:
    """Read a picture as upscaling and as training do; return its pixels. Raises InputError as they do."""
    picture = read_picture(path)
    assert picture.colour.dtype in (np.uint8, np.uint16) and picture.colour.size
    height, width = picture.colour.shape[:2]
    lost("picture.tif", picture)  # this parses EXIF
    del picture
    assert read_rgb(path).shape == (height, width, 3)
    return height * width


KINDS = {
    "weights": (weights_case, read_weights),
    "checkpoints": (checkpoint_case, read_checkpoint),
    "lpips": (lpips_case, read_lpips),
    "tars": (tar_case, read_archive),
    "zips": (zip_case, read_archive),
    "pictures": (picture_case, read_pictures),
}
IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # a disk takes longer than the readers
FILES = {"zips": "case.zip"}  # {kind: what its files are called}; they tell by it what it is


def reset_peak() -> None:
    """Reset `peak_memory` to the current memory (see proc(5), clear_refs)."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def peak_memory() -> int:
    """The peak memory of this process in bytes. The value of `getrusage` starts at its parent's."""
    (kilobytes,) = re.findall(r"^VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(kilobytes) * 1024


def fuzz(kind: str, cases: int, seed: int, keep: Path) -> dict:
    """Read that many cases of a kind; return {count's name: count}. Failed cases are written to `keep`."""
    make, read = KINDS[kind]
    found = {"read": 0, "refused": 0, "tracebacks": 0, "too large": 0, "too slow": 0, "peak": 0, "seconds": 0.0}
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        path = Path(folder) / FILES.get(kind, "case")
        for case in range(cases):
            content = make(random.Random(f"{seed} {kind} {case}"))
            path.write_bytes(content)
            pixels = None
            reset_peak()
            signal.setitimer(signal.ITIMER_REAL, HANGS)  # its signal ends the process
            before, start = peak_memory(), time.process_time()
            try:
                pixels = read(path)
                outcome = "read"
            except InputError as error:
                outcome = "refused" if str(error).startswith((f"{path}: ", f"{path} ", f"{path}, ")) else "tracebacks"
            except Exception:  # noqa: BLE001  these are the errors that fuzzing looks for
                outcome = "tracebacks"
                traceback.print_exc()
            seconds, grown = time.process_time() - start, peak_memory() - before
            signal.setitimer(signal.ITIMER_REAL, 0)
            found[outcome] += 1
            found["seconds"], found["peak"] = max(found["seconds"], seconds), max(found["peak"], grown)
            limit = MEMORY + MEMORY_PER_BYTE * len(content)
            if kind == "pictures":
                if pixels is None:  # it was refused during reading
                    pixels = min(pixels_of(path), MAX_PIXELS)
                limit = PICTURE_MEMORY + MEMORY_PER_PIXEL * pixels
            found["too large"] += grown > limit
            found["too slow"] += seconds > SECONDS
            if outcome == "tracebacks" or grown > limit or seconds > SECONDS:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{kind}-{seed}-{case}").write_bytes(content)
    return found


def _in_process(connection, *arguments) -> None:
    # libtiff prints a line or two about each damaged TIFF; Python's own messages are kept.
    sys.stderr = open(os.dup(2), "w", buffering=1)  # noqa: SIM115  open until the process ends
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    faulthandler.enable(sys.stderr)
    faulthandler.register(signal.SIGALRM, sys.stderr, chain=True)
    connection.send(fuzz(*arguments))


def fuzz_in_process(*arguments) -> dict:
    """Run `fuzz` in a separate process, which may die. Raises InputError if it does."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.fuzz"])  # Paddle's import takes longer than the cases of most kinds
    here, there = context.Pipe()
    process = context.Process(target=_in_process, args=(there, *arguments))
    process.start()
    there.close()
    try:
        return here.recv()
    except EOFError:
        process.join()
        raise InputError(
            f"{arguments[0]}: the process ended with {process.exitcode}; the cause is one of its last cases"
        ) from None
    finally:
        process.join()


def main(arguments) -> None:
    wrong = 0
    for kind in arguments.kinds:
        start = time.perf_counter()
        found = fuzz_in_process(kind, arguments.cases, arguments.seed, Path(arguments.keep))
        print(
            f"{kind}: {arguments.cases} cases, {found['read']} read, {found['refused']} refused, "
            f"{found['tracebacks']} tracebacks, {found['too large']} too large, {found['too slow']} too slow; "
            f"at most {found['peak'] / 2**20:.1f} MB and {found['seconds']:.2f} s a case, "
            f"{time.perf_counter() - start:.0f} s in all",
            flush=True,
        )
        wrong += found["tracebacks"] + found["too large"] + found["too slow"]
    if wrong:
        raise InputError(f"{wrong} cases failed; their files are in {arguments.keep}")


def parser():
    result = command.parser(__doc__)
    result.add_argument("--cases", metavar="N", type=int, default=2000, help="cases of each kind (default: 2000)")
    result.add_argument("--seed", metavar="N", type=int, default=0, help="seed of the random numbers (default: 0)")
    result.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="what to read (default: all)")
    result.add_argument(
        "--keep", metavar="DIR", default="fuzz-failures", help="folder for failed cases (default: fuzz-failures)"
    )
    return result


if __name__ == "__main__":
    command.run(parser().parse_args(), main)
