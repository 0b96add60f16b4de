"""The source of a generator: a weight file or folder, or a blend of two."""

from dataclasses import dataclass

from common.errors import InputError
from models.weight_files.weights import generator_arrays


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

    def arrays(self) -> dict:
        """{name in `models.generator.Generator`: float32 array}. Raises InputError naming the file it can't use."""
        first = generator_arrays(self.weights)
        if not self.blend:
            return first
        second = generator_arrays(self.blend)
        return {name: (1 - self.alpha) * array + self.alpha * second[name] for name, array in first.items()}
