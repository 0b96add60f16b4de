"""Stage 1: train the generator alone, on the mean squared error.

    python train/pretrain_g.py                                    the article's recipe on DIV2K
    python train/pretrain_g.py --data photos --batch-size 4       on pictures of your own
    python train/pretrain_g.py --data hr --lr-data lr             on pairs of HR and LR pictures
    python train/pretrain_g.py --recipe paper                     the paper's recipe
    python train/pretrain_g.py --resume                           continue where the last run stopped

Writes to output/: pretrain_g.pdparams (every epoch), epoch_init_N_G.jpg, _96.jpg, _384.jpg (samples),
pretrain_g_figure.png, pretrain_g_losses.png, log.csv, run.json and checkpoints/; with --valid pretrain_g_best.pdparams,
with --visualdl visualdl/.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import common.full_set  # noqa: F401
from common import command
from models.generator import Generator, initialize_icnr, initialize_small
from models.weight_files.weights import load_generator
from train import training_flags
from train.loop import train
from train.run import cpu
from train.run.mixed_precision import Precision
from train.stages import PRETRAIN
from train.steps import PretrainStep


def main(arguments) -> None:
    recipe = training_flags.recipe_of(arguments, PARSER)
    training_flags.start(arguments, recipe, PRETRAIN)
    generator = load_generator(arguments.init) if arguments.init else Generator()
    if recipe.icnr and not arguments.init:
        initialize_icnr(generator)
    if recipe.small_init and not arguments.init:
        initialize_small(generator)
    crops = training_flags.open_crops(arguments, recipe)
    recipe = training_flags.with_rarer_samples(arguments, recipe, crops)
    precision = Precision(recipe.amp)
    cpu.speed_up(generator, dtype=precision.dtype)
    step = PretrainStep(generator, recipe, precision)
    train(PRETRAIN, step, crops, arguments)


PARSER = training_flags.parser(__doc__, PRETRAIN)

if __name__ == "__main__":
    command.run(PARSER.parse_args(), main)
