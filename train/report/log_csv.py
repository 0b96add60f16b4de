"""`output/log.csv`: one row of figures for each finished epoch of either stage."""

import csv
from pathlib import Path

from common.errors import InputError
from common.files import replacing
from train.stages import STAGES

COLUMNS = (
    "stage",
    "epoch",
    "seconds",
    "learning_rate",
    *("mse", "vgg", "adv", "g_loss", "d_loss"),
    *("d_hr", "d_sr", "g_gradient", "d_gradient"),
    *("sample_psnr", "valid_psnr", "valid_ssim"),
    *("valid_lpips", "valid_grid"),
)
STAGE_NAMES = [stage.result for stage in STAGES.values()]  # as in the first column


def check(path) -> None:
    """Raise InputError naming the file if `path` is not a log of this project, which `write` would refuse."""
    _read(Path(path))


def write(path, stage: str, rows: list) -> None:
    """Write the rows of a stage, in the order of COLUMNS; the other stage's rows in the file are kept unchanged.

    stage: one of STAGE_NAMES. rows: a dict {column: number} for each epoch so far, from the first; missing columns are
    left empty, unknown ones raise ValueError. They replace all rows of this stage.
    The file is written atomically. Raises InputError, as `check` does, without touching a file that is not a log.
    """
    path = Path(path)
    kept = _read(path)
    kept[stage] = [{**row, "stage": stage} for row in rows]
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for name in STAGE_NAMES:
            writer.writerows(kept[name])


def _read(path: Path) -> dict:
    """{stage: its rows as text}; no rows if there is no file."""
    rows = {stage: [] for stage in STAGE_NAMES}
    try:
        with open(path, newline="", encoding="utf-8") as file:
            lines = list(csv.reader(file))
    except FileNotFoundError:
        return rows
    except OSError as error:
        raise _refused(path, f"it cannot be read ({error.strerror})") from None
    except (csv.Error, UnicodeDecodeError):
        raise _refused(path, "it is not a CSV text") from None
    header = tuple(lines[0]) if lines else ()
    if header != COLUMNS:
        raise _refused(path, f"its first line is not {','.join(COLUMNS)}")
    for number, line in enumerate(lines[1:], 2):
        if len(line) != len(header) or line[0] not in STAGE_NAMES or not all(map(_is_number, line[1:])):
            raise _refused(
                path, f"line {number} is not a stage ({' or '.join(STAGE_NAMES)}) and {len(header) - 1} numbers"
            )
        rows[line[0]].append(dict(zip(header, line)))
    return rows


def _is_number(cell: str) -> bool:
    try:
        float(cell or 0)
    except ValueError:
        return False
    return True


def _refused(path: Path, found: str) -> InputError:
    return InputError(f"{path} is not this project's log, or damaged: {found}. It is left unchanged; move it away")
