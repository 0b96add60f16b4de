"""Every hyper-parameter of a run in one place, and the named recipes."""

import dataclasses
import math

from data.degrade import NAMES
from data.photo import Photo
from models.vgg19 import LAYERS
from train.schedule import SCHEDULES


def _field(default, help: str, stage=None, flag=None, degradation=None, is_shown_only=False):
    """A hyper-parameter with its help text.

    stage: `pretrain` or `gan` if only that stage reads it. flag: the flag's name if only that stage's command has it;
    None for `--` and the field's name. degradation: set if only that degradation reads it. is_shown_only: whether it
    changes only what a run shows, not what it computes.
    """
    metadata = {
        "help": help,
        "stage": stage,
        "flag": flag,
        "degradation": degradation,
        "is_shown_only": is_shown_only,
    }
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The settings of one training run. The defaults are the article's published numbers.

    Raises ValueError for a value out of range.
    """

    pretrain_epochs: int = _field(50, "stage 1 runs epochs 0 to N, numbered as in the article", "pretrain", "--epochs")
    gan_epochs: int = _field(2000, "stage 2 runs epochs 0 to N, numbered as in the article", "gan", "--epochs")
    batch_size: int = _field(32, "crops per step, over all devices")
    grad_accumulate: int = _field(1, "micro-batches per step, computed one after the other to save memory")
    learning_rate: float = _field(1e-3, "Adam's step size")
    pretrain_schedule: str = _field(
        "constant", "stage 1's learning rate over the run: constant, step or cosine", "pretrain", "--schedule"
    )
    gan_schedule: str = _field(
        "constant", "stage 2's learning rate over the run: constant, step or cosine", "gan", "--schedule"
    )
    beta1: float = _field(0.9, "Adam's decay of the first moment, 0 to 1")
    hr_size: int = _field(384, "side of the HR crop in pixels, a multiple of 4; the LR crop is a quarter of it")
    degradation: str = _field(
        "bilinear",
        "how LR is made: bilinear (cv2.resize), bicubic (MATLAB's imresize) or photo (blur, noise and JPEG too)",
    )
    photo_strength: float = _field(
        Photo().strength,
        "degradation photo: factor of blur, noise and compression; 1: what people have, 0: none",
        degradation="photo",
    )
    photo_clean: float = _field(
        Photo().clean, "degradation photo: share of the crops with bicubic reduction only, 0 to 1", degradation="photo"
    )
    crops_per_image: int = _field(1, "random crops per picture and epoch")
    augment: bool = _field(False, "random flips and quarter turns of the crops")
    icnr: bool = _field(
        False, "stage 1 starts with equal sub-pixels (ICNR), so there is no checkerboard to unlearn", "pretrain"
    )
    small_init: bool = _field(
        False, "stage 1 starts with smaller weights and with residual blocks that are the identity", "pretrain"
    )
    ema: float = _field(0.0, "decay of the generator's moving average per step, for example 0.999; 0: no average")
    amp: bool = _field(False, "mixed precision: fp16 on a GPU; on a CPU that multiplies bf16, bf16 with Paddle 3.3")
    sample_every: int = _field(10, "epochs between sample pictures", is_shown_only=True)
    seed: int = _field(0, "seed of the initial weights and of every crop")
    mse_weight: float = _field(1.0, "stage 2: weight of the mean squared error in the generator's loss", "gan")
    vgg_weight: float = _field(2e-6, "stage 2: weight of the VGG loss", "gan")
    adv_weight: float = _field(1e-3, "stage 2: weight of the adversarial loss", "gan")
    grid_weight: float = _field(0.0, "stage 2: weight of the grid loss, which suppresses sub-pixel patterns", "gan")
    vgg_layer: str = _field(
        "pool5", "stage 2: VGG19's layer: pool5, conv5_4 (VGG54), conv2_2 (VGG22) or another", "gan"
    )
    vgg_normalize: bool = _field(False, "stage 2: ImageNet normalization of VGG19's input, instead of [-1,1]", "gan")
    vgg_resize: bool = _field(True, "stage 2: resize the crops to 224 pixels for VGG19, as in the article", "gan")
    vgg_before_relu: bool = _field(False, "stage 2: use the feature maps before the layer's ReLU", "gan")
    vgg_shift: bool = _field(
        False, "stage 2: shift VGG19's SR and HR by one of the 16 sub-pixel offsets, at random", "gan"
    )
    vgg_texture: float = _field(
        0.0,
        "stage 2: weight, within the VGG loss, of how strong VGG19's maps are in each place, which stands for texture",
        "gan",
    )
    l1: bool = _field(False, "stage 2: absolute instead of squared differences of pixels and feature maps", "gan")
    adv_ramp: int = _field(0, "stage 2: steps over which the adversarial loss grows to its weight", "gan")
    freeze_bn: bool = _field(
        False, "stage 2: freeze batch norm: G keeps stage 1's statistics, D those estimated at the start", "gan"
    )
    d_rate: float = _field(1.0, "stage 2: the discriminator's learning rate, as a multiple of the generator's", "gan")
    d_warmup: int = _field(0, "stage 2: steps at the start in which only the discriminator learns", "gan")
    label_smoothing: float = _field(0.0, "stage 2: D's target for HR is 1 - X instead of 1; X for example 0.1", "gan")

    def __post_init__(self):
        for name in (
            "pretrain_epochs",
            "gan_epochs",
            "seed",
            "mse_weight",
            "vgg_weight",
            "adv_weight",
            "grid_weight",
            "vgg_texture",
            "d_warmup",
            "adv_ramp",
        ):
            self._demand(name, getattr(self, name) >= 0, "0 or more")
        for name in ("batch_size", "grad_accumulate", "crops_per_image", "sample_every"):
            self._demand(name, getattr(self, name) >= 1, "1 or more")
        for name in ("learning_rate", "mse_weight", "vgg_weight", "adv_weight", "grid_weight", "vgg_texture", "d_rate"):
            self._demand(name, math.isfinite(getattr(self, name)), "a finite number")
        self._demand("seed", self.seed < 2**32, "less than 2^32")
        for name in ("learning_rate", "d_rate"):
            self._demand(name, getattr(self, name) > 0, "more than 0")
        for name in ("beta1", "ema", "label_smoothing"):
            self._demand(name, 0 <= getattr(self, name) < 1, "at least 0 and less than 1")
        for name in ("pretrain_schedule", "gan_schedule"):
            self._demand(name, getattr(self, name) in SCHEDULES, f"one of {', '.join(SCHEDULES)}")
        self._demand(
            "grad_accumulate", self.batch_size % self.grad_accumulate == 0, f"a divisor of batch-size {self.batch_size}"
        )
        self._demand("hr_size", self.hr_size >= 4 and self.hr_size % 4 == 0, "a multiple of 4 and at least 4")
        if self.grid_weight:
            self._demand("hr_size", self.hr_size >= 8, "8 or more for the grid loss")
        self._demand("degradation", self.degradation in NAMES, f"one of {', '.join(NAMES)}")
        self._demand("photo_strength", 0 <= self.photo_strength <= 2, "0 to 2")
        self._demand("photo_clean", 0 <= self.photo_clean <= 1, "0 to 1")
        self._demand("vgg_layer", self.vgg_layer in LAYERS, f"one of {', '.join(LAYERS)}")

    @property
    def photo(self) -> Photo:
        """The strengths of the degradation `photo`."""
        return Photo(self.photo_strength, self.photo_clean)

    def _demand(self, name: str, holds: bool, wanted: str) -> None:
        if not holds:
            raise ValueError(f"{name.replace('_', '-')} is {getattr(self, name)}; it must be {wanted}")


RECIPES = {
    # The article's training settings, as its author published them.
    "article": Recipe(),
    # The paper (arXiv 1609.04802, section 3.2), for DIV2K's 800 pictures: with 50 steps per epoch, stage 1 makes the
    # paper's 10^6 updates and stage 2 its 2·10^5, the second half at a tenth of the learning rate. 0.006 is the square
    # of 1/12.75, by which the paper scales the features.
    "paper": Recipe(
        pretrain_epochs=20000,
        gan_epochs=4000,
        batch_size=16,
        learning_rate=1e-4,
        gan_schedule="step",
        hr_size=96,
        degradation="bicubic",
        augment=True,
        sample_every=100,
        mse_weight=0.0,
        vgg_weight=0.006,
        vgg_layer="conv5_4",
        vgg_normalize=True,
        vgg_resize=False,
    ),
    # A usable generator from a few hundred photographs on a CPU: the 464 that the shipped ones were trained on make 464
    # steps per epoch and 40,368 in all. The moving average gives good samples before the learning rate has fallen.
    "short": Recipe(
        pretrain_epochs=86,
        batch_size=16,
        learning_rate=1e-3,
        pretrain_schedule="cosine",
        hr_size=96,
        degradation="bicubic",
        crops_per_image=16,
        augment=True,
        icnr=True,
        small_init=True,
        ema=0.999,
        sample_every=1,
    ),
    # For photographs as people have them: from `--init srresnet`, 19,952 steps with the shipped generators' pictures.
    "photo": Recipe(
        pretrain_epochs=42,
        batch_size=16,
        learning_rate=5e-4,
        pretrain_schedule="cosine",
        hr_size=96,
        degradation="photo",
        crops_per_image=16,
        augment=True,
        ema=0.999,
        sample_every=6,
    ),
}

# Stage 2's recipes are the same, except `short` and `photo`, which bring texture within a few thousand updates. Batch
# norm is frozen: normalizing HR and SR with their own batch's statistics hides from D what tells the two apart, all the
# more as its last maps for crops of 96 pixels are a single number each.
_SHORT_GAN = dataclasses.replace(
    RECIPES["short"],
    gan_epochs=20,
    batch_size=8,
    crops_per_image=8,
    learning_rate=1e-4,
    gan_schedule="cosine",
    l1=True,
    mse_weight=1.0,
    vgg_weight=1.0,
    adv_weight=1e-2,
    adv_ramp=300,
    grid_weight=0.02,
    vgg_layer="conv3_4",
    vgg_normalize=True,
    vgg_resize=False,
    vgg_before_relu=True,
    vgg_shift=True,
    vgg_texture=0.5,
    freeze_bn=True,
    label_smoothing=0.1,
)

GAN_RECIPES = {
    **RECIPES,
    "short": _SHORT_GAN,
    # 30,160 steps with the shipped generators' pictures.
    "photo": dataclasses.replace(
        _SHORT_GAN, gan_epochs=64, degradation="photo", mse_weight=0.1, adv_weight=0.05, sample_every=6
    ),
}
