"""The trained generators that come with the project; weights/README.md is their model card."""

from __future__ import annotations

from pathlib import Path

from common.files import AnyPath

FOLDER = Path(__file__).resolve().parents[2] / "weights"
DEFAULT = "srgan"  # the generator used unless another is given
PHOTO = "srgan_photo"  # the better generator for compressed photographs
PURPOSES = {
    DEFAULT: "for sharp pictures without compression",
    "srresnet": "the same without invented detail",
    PHOTO: "for JPEG photographs up to quality 95",
}
SHIPPED = {name: FOLDER / f"{name}.pdparams" for name in PURPOSES}
NAMES = f"{', '.join(list(SHIPPED)[:-1])} or {list(SHIPPED)[-1]}"


def weights_path(weights: AnyPath) -> str:
    """The path of weights given as a path or as the name of a shipped generator, in any current folder.

    A shipped generator's name takes precedence over a file of that name, which must be given as `./srgan`. As an
    argparse type, this function turns a flag's text into a path.
    """
    return str((SHIPPED.get(weights) if isinstance(weights, str) else None) or weights)
