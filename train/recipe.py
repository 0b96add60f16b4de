"""Every hyper-parameter of a run in one place, and the named recipes."""

import dataclasses

from common.command import Number, count, positive
from data.degrade import NAMES
from data.photo import Photo
from models.vgg19 import LAYERS
from train.schedule import SCHEDULES

WEIGHT, RATE = Number(0), Number(0, above=True)
BELOW_1 = Number(0, 0.999999)


def _field(default, help: str, kind=None, stage=None, **others):
    """A hyper-parameter with its help text.

    kind: the values that its flag takes, a `Number` or a tuple of texts; None: on and off. stage: `pretrain` or `gan`
    if only that stage reads it. others: `flag` if it isn't `--` and the field's name; `degradation` if only that one
    reads it; `is_shown_only` if it changes only what a run shows, not what it computes.
    """
    return dataclasses.field(default=default, metadata={"help": help, "kind": kind, "stage": stage, **others})


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The settings of one training run. The defaults are the article's published numbers.

    Raises ValueError for values that do not go together; the flags' types refuse those out of range.
    """

    pretrain_epochs: int = _field(
        50, "stage 1 runs epochs 0 to N, numbered as in the article", count, "pretrain", flag="--epochs"
    )
    gan_epochs: int = _field(
        2000, "stage 2 runs epochs 0 to N, numbered as in the article", count, "gan", flag="--epochs"
    )
    batch_size: int = _field(32, "crops per step, over all devices", positive)
    grad_accumulate: int = _field(1, "micro-batches per step, computed one after the other to save memory", positive)
    learning_rate: float = _field(1e-3, "Adam's step size", RATE)
    pretrain_schedule: str = _field(
        "constant",
        "stage 1's learning rate over the run: constant, step or cosine",
        SCHEDULES,
        "pretrain",
        flag="--schedule",
    )
    gan_schedule: str = _field(
        "constant",
        "stage 2's learning rate over the run: constant, step or cosine",
        SCHEDULES,
        "gan",
        flag="--schedule",
    )
    beta1: float = _field(0.9, "Adam's decay of the first moment", BELOW_1)
    hr_size: int = _field(
        384, "side of the HR crop in pixels, a multiple of 4; the LR crop is a quarter of it", Number(4, whole=True)
    )
    degradation: str = _field(
        "bilinear",
        "how LR is made: bilinear (cv2.resize), bicubic (MATLAB's imresize) or photo (blur, noise and JPEG too)",
        NAMES,
    )
    photo_strength: float = _field(
        Photo().strength,
        "degradation photo: factor of blur, noise and compression; 1: what people have, 0: none",
        Number(0, 2),
        degradation="photo",
    )
    photo_clean: float = _field(
        Photo().clean,
        "degradation photo: share of the crops with bicubic reduction only",
        Number(0, 1),
        degradation="photo",
    )
    crops_per_image: int = _field(1, "random crops per picture and epoch", positive)
    augment: bool = _field(False, "random flips and quarter turns of the crops")
    icnr: bool = _field(
        False, "stage 1 starts with equal sub-pixels (ICNR), so there is no checkerboard to unlearn", stage="pretrain"
    )
    small_init: bool = _field(
        False, "stage 1 starts with smaller weights and with residual blocks that are the identity", stage="pretrain"
    )
    ema: float = _field(
        0.0, "decay of the generator's moving average per step, for example 0.999; 0: no average", BELOW_1
    )
    amp: bool = _field(False, "mixed precision: fp16 on a GPU; on a CPU that multiplies bf16, bf16 with Paddle 3.3")
    sample_every: int = _field(10, "epochs between sample pictures", positive, is_shown_only=True)
    seed: int = _field(0, "seed of the initial weights and of every crop", Number(0, 2**32 - 1, whole=True))
    mse_weight: float = _field(1.0, "weight of the mean squared error in the generator's loss", WEIGHT, "gan")
    vgg_weight: float = _field(2e-6, "weight of the VGG loss", WEIGHT, "gan")
    adv_weight: float = _field(1e-3, "weight of the adversarial loss", WEIGHT, "gan")
    grid_weight: float = _field(0.0, "weight of the grid loss, which suppresses sub-pixel patterns", WEIGHT, "gan")
    vgg_layer: str = _field("pool5", "VGG19's layer: pool5, conv5_4 (VGG54), conv2_2 (VGG22) or another", LAYERS, "gan")
    vgg_normalize: bool = _field(False, "ImageNet normalization of VGG19's input, instead of [-1,1]", stage="gan")
    vgg_resize: bool = _field(True, "resize the crops to 224 pixels for VGG19, as in the article", stage="gan")
    vgg_before_relu: bool = _field(False, "use the feature maps before the layer's ReLU", stage="gan")
    vgg_shift: bool = _field(
        False, "shift VGG19's SR and HR by one of the 16 sub-pixel offsets, at random", stage="gan"
    )
    vgg_texture: float = _field(
        0.0,
        "weight, within the VGG loss, of how strong VGG19's maps are in each place, which stands for texture",
        WEIGHT,
        "gan",
    )
    l1: bool = _field(False, "absolute instead of squared differences of pixels and feature maps", stage="gan")
    adv_ramp: int = _field(0, "steps over which the adversarial loss grows to its weight", count, "gan")
    freeze_bn: bool = _field(
        False, "freeze batch norm: G keeps stage 1's statistics, D those estimated at the start", stage="gan"
    )
    d_rate: float = _field(1.0, "the discriminator's learning rate, as a multiple of the generator's", RATE, "gan")
    d_warmup: int = _field(0, "steps at the start in which only the discriminator learns", count, "gan")
    label_smoothing: float = _field(0.0, "D's target for HR is 1 - X instead of 1; X for example 0.1", BELOW_1, "gan")

    def __post_init__(self):
        if self.hr_size % 4:
            raise ValueError(f"hr-size is {self.hr_size}; it must be a multiple of 4")
        if self.grid_weight and self.hr_size < 8:
            raise ValueError(f"hr-size is {self.hr_size}; it must be 8 or more for the grid loss")
        if self.batch_size % self.grad_accumulate:
            raise ValueError(
                f"grad-accumulate is {self.grad_accumulate}; it must be a divisor of batch-size {self.batch_size}"
            )

    @property
    def photo(self) -> Photo:
        """The strengths of the degradation `photo`."""
        return Photo(self.photo_strength, self.photo_clean)


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
