"""The trained generators that come with the project; weights/README.md is their model card."""

from __future__ import annotations

from pathlib import Path

from common.errors import InputError
from common.files import AnyPath, hash_of

FOLDER = Path(__file__).resolve().parents[2] / "weights"
DEFAULT = "srgan"  # for clean pictures, and for arrays
PHOTO = "srgan_photo"  # for photographs as people have them
AUTO = "auto"  # the name for the one of the two that fits a picture: `infer.cleanness.fitting_weights`
PURPOSES = {
    DEFAULT: "for sharp pictures without compression",
    "srresnet": "the same without invented detail",
    PHOTO: "for JPEG photographs up to quality 95",
}
SHIPPED = {name: FOLDER / f"{name}.pdparams" for name in PURPOSES}
SHA256 = {  # the card's
    DEFAULT: "b0de91b5473e00c98b53d6a8b30f439f139a6c87e5ae0c3e48d355b0582fccfb",
    "srresnet": "393fd13f6fa910696441b8239db33f5d4e5c8c2ea4662be021f625c4ac26afe5",
    PHOTO: "2998514d12b54420f782ef80dd9cbcbd9c6a2ac77013124db1e603fcaef698ad",
}
PUT_BACK = "it is part of the repository: git checkout -- weights"
NAMES = f"{', '.join(list(SHIPPED)[:-1])} or {list(SHIPPED)[-1]}"


def weights_path(weights: AnyPath) -> str:
    """The path of weights given as a path or as the name of a shipped generator, in any current folder.

    A shipped generator's name takes precedence over a file of that name, which must be given as `./srgan`. As an
    argparse type, this function turns a flag's text into a path.
    """
    return str((SHIPPED.get(weights) if isinstance(weights, str) else None) or weights)


def check_shipped(path: AnyPath) -> None:
    """Raise InputError if `path` is a shipped generator's and its sha256 is not the card's."""
    for name, shipped in SHIPPED.items():
        if Path(path) == shipped and hash_of(shipped, "sha256") != SHA256[name]:
            raise InputError(f"damaged or replaced: its sha256 is not that of weights/README.md; {PUT_BACK}")
