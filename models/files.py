"""Files that are whole or not there."""

import contextlib
import os
import zlib
from pathlib import Path


@contextlib.contextmanager
def replacing(path):
    """Write a file under another name, then put it in its place at once.

    Yields the temporary path (beside `path`, with the same ending) to write to. When the block ends well, what it
    wrote is synced to the disk and renamed to `path`; when it fails, the temporary file is removed and a file that
    was at `path` before is still there, as it was. Makes the parent folder. An OSError (a full disk) names `path`.
    """
    path = Path(path)
    # Not the name itself with something added: that could be longer than a name may be.
    temporary = path.with_name(f".{os.getpid()}-{zlib.crc32(os.fsencode(path.name)):08x}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "r+b") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(error.errno, f"cannot write it ({error.strerror}); what was there before is kept", str(path))
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
