"""Where a generator comes from: a weight file or folder, or two of them blended."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from common.errors import InputError
from common.files import hash_of


@dataclass(frozen=True)
class Source:
    """Weights, a `.pdparams` file or a folder of the article's; with `blend`, mixed with a second one's.

    Blending is ESRGAN's network interpolation (arXiv 1809.00219, section 3.4): every weight is
    (1 - alpha)·weights + alpha·blend, alpha 0..1. There `weights` is trained for PSNR and `blend` against a
    discriminator, and alpha trades few artefacts for much detail.
    """

    weights: str
    blend: str = ""
    alpha: float = 0.0

    def __post_init__(self):
        if not 0 <= self.alpha <= 1:
            raise InputError(f"--alpha {self.alpha}: it must be between 0 and 1")

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
        """A hash of all that the generator depends on; it differs wherever the generator does.

        Raises InputError, as loading does, where there is nothing to hash.
        """
        parts = [_digest(self.weights)]
        if self.blend:
            parts += [_digest(self.blend), repr(self.alpha)]
        return hashlib.sha256("|".join(parts).encode()).hexdigest()


def _digest(path) -> str:
    if Path(path).is_file():  # without Paddle, whose import takes longer than a small picture
        return hash_of(path, "sha256")
    digest = hashlib.sha256()
    for name, value in sorted(Source(str(path)).generator().state_dict().items()):
        digest.update(name.encode() + value.numpy().tobytes())
    return digest.hexdigest()
