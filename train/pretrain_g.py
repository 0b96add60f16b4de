"""Stage 1: train the generator alone, on the mean squared error.

    python train/pretrain_g.py                                    the article's recipe on DIV2K
    python train/pretrain_g.py --data photos --batch-size 4       on pictures of your own
    python train/pretrain_g.py --recipe paper                     the paper's recipe

Writes to output/: pretrain_g.pdparams (every epoch), epoch_init_N_G.jpg, _96.jpg, _384.jpg (samples),
pretrain_g_figure.png, pretrain_g_losses.png and run.json.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data import command
from models.generator import Generator
from models.weights import load_generator
from train import flags, run_json
from train.loop import Stage, train
from train.steps import adam, pretrain_step

NAME = "pretrain_g"


def main(arguments) -> None:
    recipe = flags.recipe_of(arguments, PARSER)
    flags.set_device(arguments.device, recipe.seed)
    generator = load_generator(arguments.init) if arguments.init else Generator()
    crops = flags.open_crops(arguments, recipe)
    optimizer = adam(generator, recipe)
    stage = Stage(
        name=NAME,
        prefix="epoch_init",
        epochs=recipe.pretrain_epochs,
        log_line="[*] Epoch_init: [{epoch:2d}/{epochs:2d}] time: {time:4.4f}s, mse: {mse:.8f}",
        step=lambda lr, hr: pretrain_step(generator, optimizer, lr, hr),
        also_saved={},
    )
    run_json.write(NAME, arguments, recipe)
    train(stage, generator, crops, recipe, arguments.output, arguments.workers)


PARSER = flags.parser(__doc__, "pretrain")

if __name__ == "__main__":
    command.run(PARSER.parse_args(), main)
