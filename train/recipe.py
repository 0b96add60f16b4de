"""Every hyper-parameter of a run in one place, and the named recipes."""

import dataclasses


def _field(default, help):
    return dataclasses.field(default=default, metadata={"help": help})


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One training run; the defaults are the article's published numbers. Sizes are pixels."""

    pretrain_epochs: int = _field(50, "stage 1 runs epochs 0 to N, as the article counts")
    gan_epochs: int = _field(2000, "stage 2 runs epochs 0 to N, as the article counts")
    batch_size: int = _field(32, "crops a step")
    learning_rate: float = _field(1e-3, "Adam's step size")
    beta1: float = _field(0.9, "Adam's decay of the first moment")
    hr_size: int = _field(384, "side of the HR crop, a multiple of 4; the LR crop is a quarter of it")
    degradation: str = _field("bilinear", "how LR is made from HR: bilinear (cv2.resize) or bicubic (MATLAB's imresize)")
    crops_per_image: int = _field(1, "random crops a picture and epoch")
    augment: str = _field("off", "random flips and quarter turns: on or off")
    mse_weight: float = _field(1.0, "weight of the mean squared error in stage 2's generator loss")
    vgg_weight: float = _field(2e-6, "weight of the VGG loss")
    adv_weight: float = _field(1e-3, "weight of the adversarial loss")
    vgg_layer: str = _field("pool5", "VGG19 layer compared: pool5 (the article), conv5_4 (VGG54) or conv2_2 (VGG22)")
    vgg_normalize: bool = False
    sample_every: int = _field(10, "epochs between sample pictures")
    seed: int = _field(0, "seed of the initial weights and of every crop")
