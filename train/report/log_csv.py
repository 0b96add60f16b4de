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
    stages = _read(path)
    stages[stage] = [{**row, "stage": stage} for row in rows]
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for name in STAGE_NAMES:
            writer.writerows(stages[name])


def _read(path: Path) -> dict:
    """{stage: its rows as text}; no rows if there is no file."""
    rows = {stage: [] for stage in STAGE_NAMES}
    if not path.exists():
        return rows
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise ValueError(f"its first line is not {','.join(COLUMNS)}")
            for row in reader:
                if row["stage"] not in rows or None in (*row, *row.values()):  # None: too many or too few cells
                    raise ValueError(f"line {reader.line_num} is not a row of it")
                rows[row["stage"]].append(row)
    except (csv.Error, ValueError) as error:
        raise InputError(
            f"{path} is not this project's log, or damaged ({error}). It is left unchanged; move it away"
        ) from None
    return rows
