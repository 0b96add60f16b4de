"""Logs a run's figures and sample pictures for VisualDL, Paddle's dashboard: `visualdl --logdir output/visualdl`."""

from common.errors import InputError


class VisualDL:
    """Writes a new log file to `folder`: VisualDL shows the sub-folders of its --logdir as runs, side by side.

    A resumed run gets a folder of its own, FOLDER-epoch-N, as VisualDL shows only one file of a folder. epoch: the
    first that will be written. Raises InputError if the package `visualdl` is missing. (The package creates a folder
    ~/.visualdl.)
    """

    def __init__(self, folder, epoch: int = 0):
        try:
            from visualdl import LogWriter
        except ImportError as error:
            raise InputError(
                f"--visualdl needs the package visualdl, which cannot be loaded ({error}): "
                "pip install -r requirements/visualdl.txt"
            ) from None
        self._writer = LogWriter(logdir=f"{folder}-epoch-{epoch}" if epoch else str(folder))

    def scalars(self, row: dict, epoch: int) -> None:
        """Write the figures of an epoch under their names in `train.report.log_csv`."""
        for name, value in row.items():
            self._writer.add_scalar(tag=name, value=value, step=epoch)
        self._writer.flush()

    def pictures(self, pictures: dict, epoch: int) -> None:
        """Write the sample pictures of an epoch: {name: RGB uint8 [h,w,3], 0..255}."""
        for name, rgb in pictures.items():
            # VisualDL takes a picture with no value above 1 for one in 0..1, and stretches it in place.
            self._writer.add_image(tag=f"sample/{name}", img=rgb * (rgb.max() > 1), step=epoch)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()
