"""Stage 2: train generator and discriminator against each other, starting from stage 1's generator.

    python train/train_gan.py                                     the article's recipe on DIV2K
    python train/train_gan.py --data photos --batch-size 4        on pictures of your own
    python train/train_gan.py --no-vgg                            without the VGG loss (and VGG19's weights)
    python train/train_gan.py --resume                            continue where the last run stopped

Writes to output/: srgan_g.pdparams (every epoch), srgan_d.pdparams (at the end of an epoch), epoch_N_G.jpg, _96.jpg,
_384.jpg (samples), srgan_g_figure.png, srgan_g_losses.png, log.csv, run.json and checkpoints/; with --valid
srgan_g_best.pdparams, with --visualdl visualdl/.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import common.full_set  # noqa: F401
from common import command
from common.errors import InputError
from models.discriminator import Discriminator
from models.generator import Generator
from models.weight_files.vgg19_weights import load_vgg19
from models.weight_files.weights import load_discriminator, load_generator
from train import training_flags
from train.bn_statistics import estimate_discriminators, freeze_statistics
from train.loop import train
from train.run import cpu
from train.run.mixed_precision import Precision
from train.stages import GAN, PRETRAIN
from train.steps import GanStep


def first_generator(arguments) -> Generator:
    """The generator to start from; when resuming, a new one for the checkpoint's weights.

    Raises InputError naming stage 1's command if the file does not exist.
    """
    if training_flags.is_resuming(arguments):
        return Generator()
    path = Path(arguments.init or arguments.output / f"{PRETRAIN.result}.pdparams")
    if not path.exists():
        raise InputError(
            f"{path}: no such file. Stage 2 starts from a trained generator: to fine-tune the included one on pictures "
            "of your own give --init srgan; to train from the beginning run python train/pretrain_g.py first; or name "
            "another: --init FILE|FOLDER"
        )
    return load_generator(path)


def vgg19_of(arguments, recipe):
    """VGG19 as deep as the recipe needs, or None with --no-vgg. Raises InputError if its weights are missing."""
    if arguments.no_vgg:
        return None
    remedy = "python data/download.py vgg19 (or train without it: --no-vgg)"
    path = arguments.vgg19 or training_flags.first_existing(training_flags.VGG19_PATHS, "VGG19's weights", remedy)
    return load_vgg19(path, deepest=recipe.vgg_layer)


def warn_without_content(recipe, vgg19) -> None:
    """Warn if no term of the generator's loss ties SR to HR, as with `--recipe paper --no-vgg`."""
    if recipe.mse_weight == 0 and (vgg19 is None or recipe.vgg_weight == 0):
        print(
            "warning: neither the mean squared error nor the VGG loss has a weight; apart from stage 1's start, "
            "nothing ties the result to its picture. Add --mse-weight 1",
            file=sys.stderr,
        )


def main(arguments) -> None:
    recipe = training_flags.recipe_of(arguments, PARSER)
    training_flags.start(arguments, recipe, GAN)
    generator = first_generator(arguments)
    if arguments.init_d and not training_flags.is_resuming(arguments):
        discriminator = load_discriminator(arguments.init_d, recipe.hr_size)
    else:
        discriminator = Discriminator(recipe.hr_size)
    vgg19 = vgg19_of(arguments, recipe)
    warn_without_content(recipe, vgg19)
    crops = training_flags.open_crops(arguments, recipe)
    recipe = training_flags.with_rarer_samples(arguments, recipe, crops)
    precision = Precision(recipe.amp)
    cpu.speed_up(generator, discriminator, *([vgg19] if vgg19 else []), dtype=precision.dtype)
    if recipe.freeze_bn:
        freeze_statistics(generator)
        if not training_flags.is_resuming(arguments) and arguments.init_d is None:
            estimate_discriminators(discriminator, generator, crops, recipe.batch_size)
        freeze_statistics(discriminator)
    step = GanStep(generator, discriminator, vgg19, recipe, precision)
    train(GAN, step, crops, arguments)


PARSER = training_flags.parser(__doc__, GAN)

if __name__ == "__main__":
    command.run(PARSER.parse_args(), main)
