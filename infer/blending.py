"""The source of a generator: a weight file or folder, or a blend of two."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from common.errors import InputError
from common.files import hash_of


@dataclass(frozen=True)
class Source:
    """Weights from a `.pdparams` file or one of the article's folders; with `blend`, mixed with a second set.

    Blending is ESRGAN's network interpolation (arXiv 1809.00219, section 3.4): every weight is
    (1 - alpha)·weights + alpha·blend, alpha 0..1. In ESRGAN, `weights` is trained for PSNR and `blend` against a
    discriminator; a larger alpha gives more detail and more artefacts.
    """

    weights: str
    blend: str = ""
    alpha: float = 0.0

    def __post_init__(self):
        if not 0 <= self.alpha <= 1:
            raise InputError(f"--alpha {self.alpha}: must be between 0 and 1")

    def generator(self):
        """The generator, in eval mode. Raises InputError naming the file that cannot be used."""
        from models.weight_files.weights import load_generator

        network = load_generator(self.weights)
        if self.blend:
            other = load_generator(self.blend).state_dict()
            network.set_state_dict(
                {
                    name: (1 - self.alpha) * value + self.alpha * other[name]
                    for name, value in network.state_dict().items()
                }
            )
        network.eval()
        return network

    def key(self) -> str:
        """A hash of everything that the generator depends on: different generators have different hashes.

        Raises InputError, as loading does, if there is nothing to hash.
        """
        parts = [_digest(self.weights)]
        if self.blend:
            parts += [_digest(self.blend), repr(self.alpha)]
        return hashlib.sha256("|".join(parts).encode()).hexdigest()


def _digest(path) -> str:
    if Path(path).is_file():  # works without Paddle, whose import takes longer than upscaling a small picture
        return hash_of(path, "sha256")
    digest = hashlib.sha256()
    for name, value in sorted(Source(str(path)).generator().state_dict().items()):
        digest.update(name.encode() + value.numpy().tobytes())
    return digest.hexdigest()
