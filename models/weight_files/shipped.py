"""The trained generators that come with the project; weights/README.md is their model card."""

from __future__ import annotations

from pathlib import Path

from common.files import AnyPath

FOLDER = Path(__file__).resolve().parents[2] / "weights"
DEFAULT = "srgan"  # what a photograph is upscaled with where nothing else is asked for
PHOTO = "srgan_photo"  # what a compressed one is better upscaled with
PURPOSES = {
    DEFAULT: "for sharp pictures without compression",
    "srresnet": "the same without invented detail",
    PHOTO: "for photographs with visible JPEG compression",
}
SHIPPED = {name: FOLDER / f"{name}.pdparams" for name in PURPOSES}
NAMES = f"{', '.join(list(SHIPPED)[:-1])} or {list(SHIPPED)[-1]}"


def weights_path(weights: AnyPath) -> str:
    """The path of weights that are given by a path, or by the name of a shipped generator, whatever folder one is in.

    The name of a shipped generator is never a file's: `./srgan` is one that is called so. As an argparse type it
    turns a flag's text into a path.
    """
    return str((SHIPPED.get(weights) if isinstance(weights, str) else None) or weights)
