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

from common import command
from models.generator import Generator, initialize_icnr, initialize_small
from models.weight_files.weights import load_generator
from train import flags
from train.loop import Stage, train
from train.run import cpu
from train.run.mixed_precision import Precision
from train.steps import PretrainStep


def main(arguments) -> None:
    recipe = flags.recipe_of(arguments, PARSER)
    flags.start(arguments, recipe, "pretrain_g.pdparams")
    generator = load_generator(arguments.init) if arguments.init else Generator()
    if recipe.icnr and not arguments.init:
        initialize_icnr(generator)
    if recipe.small_init and not arguments.init:
        initialize_small(generator)
    crops = flags.open_crops(arguments, recipe)
    cpu.speed_up(generator)
    precision = Precision(recipe.amp)
    stage = Stage(
        name="pretrain_g",
        command="pretrain_g",
        prefix="epoch_init",
        recipe_prefix="pretrain",
        log_line="[*] Epoch_init: [{epoch:2d}/{epochs:2d}] time: {time:4.4f}s, mse: {mse:.8f}",
        step=PretrainStep(generator, recipe, precision),
        also_saved={},
        inputs={},
    )
    train(stage, crops, recipe, precision, arguments)


PARSER = flags.parser(__doc__, "pretrain")

if __name__ == "__main__":
    command.run(PARSER.parse_args(), main)
