"""Logs a run's figures and sample pictures for VisualDL, Paddle's dashboard: `visualdl --logdir output/visualdl`."""

import os
import struct
from pathlib import Path

from common.errors import InputError

# VisualDL shows one file per folder, the last by name, so a resumed run continues the same one. It recognises its files
# by the first part of this name.
FILE = "vdlrecords.log"
LENGTH = struct.Struct("<Q")  # the length field before each record

# {column of `train.report.log_csv`: tag under which VisualDL shows it}
TAGS = {
    **{name: f"loss/{name}" for name in ("mse", "vgg", "adv", "g_loss", "d_loss")},
    **{name: f"discriminator/{name}" for name in ("d_hr", "d_sr")},
    **{name: f"gradient/{name}" for name in ("g_gradient", "d_gradient")},
    "sample_psnr": "psnr/sample",
    "valid_psnr": "psnr/valid",
    "valid_ssim": "ssim/valid",
    "valid_lpips": "lpips/valid",
    "valid_grid": "grid/valid",
    "learning_rate": "run/learning_rate",
    "seconds": "run/seconds",
}


class VisualDL:
    """Writes to `folder`, one per stage: VisualDL shows the sub-folders of its --logdir as runs, side by side.

    epoch: the first that will be written. Records of an earlier run from this epoch on are removed.
    Raises InputError if the package `visualdl` is missing. (The package creates a folder ~/.visualdl.)
    """

    def __init__(self, folder, epoch: int = 0):
        try:
            from visualdl import LogWriter
        except ImportError as error:
            raise InputError(
                f"--visualdl needs the package visualdl, which cannot be loaded ({error}): "
                "pip install -r requirements/visualdl.txt"
            ) from None
        path = Path(folder) / FILE
        if path.exists():
            os.truncate(path, _end_before(path, epoch))
        self._writer = LogWriter(logdir=str(folder), file_name=FILE)

    def scalars(self, row: dict, epoch: int) -> None:
        """Write the figures of an epoch, named as in `train.report.log_csv`; missing ones and None are left out."""
        for name, tag in TAGS.items():
            if row.get(name) is not None:
                self._writer.add_scalar(tag=tag, value=row[name], step=epoch)
        self._writer.flush()

    def pictures(self, pictures: dict, epoch: int) -> None:
        """Write the sample pictures of an epoch: {name: RGB uint8 [h,w,3], 0..255}."""
        for name, rgb in pictures.items():
            # VisualDL takes a picture with no value above 1 for one in 0..1, and stretches it in place.
            self._writer.add_image(tag=f"sample/{name}", img=rgb * (rgb.max() > 1), step=epoch)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


def _end_before(path: Path, epoch: int) -> int:
    """The number of bytes of a log file before its first record of `epoch` or later, or its first incomplete one."""
    from google.protobuf.message import DecodeError
    from visualdl.proto.record_pb2 import Record

    size = path.stat().st_size
    with open(path, "rb") as file:
        while True:
            start = file.tell()
            if size - start < LENGTH.size:
                return start
            (length,) = LENGTH.unpack(file.read(LENGTH.size))
            if length > size - file.tell():
                return start
            try:
                (value,) = Record.FromString(file.read(length)).values
            except (DecodeError, ValueError):  # ValueError: not exactly one value, unlike a valid record
                return start
            if value.id >= epoch:
                return start
