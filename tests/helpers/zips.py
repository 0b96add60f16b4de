"""Zip and tar archives in memory."""

import io
import tarfile
import zipfile

from tests.helpers.file_server import CONTENT, OTHER

PICTURES = {"top/0001.png": CONTENT[:70_000], "top/deep/er/0002.png": OTHER[:50_000], "top/empty.png": b""}


def zipped(files: dict, method=zipfile.ZIP_DEFLATED) -> bytes:
    """files: {name as it is to be in the archive: bytes}."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo("x")
            info.filename = name  # later, as the constructor tidies a name
            archive.writestr(info, content, method)
    return buffer.getvalue()


def tarred(files: dict, mode: str = "w", kinds=None) -> bytes:
    """kinds: {name: tarfile's type} of members that are no plain files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.type = (kinds or {}).get(name, tarfile.REGTYPE)
            info.size = len(content) if info.type == tarfile.REGTYPE else 0
            info.linkname = "/etc/passwd" if info.type in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def contents(folder) -> dict:
    """{path of each file below a folder, beginning with the folder's name: its bytes}."""
    return {
        file.relative_to(folder.parent).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()
    }
