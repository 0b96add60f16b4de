"""Mix the weights of generators. As a command: add to one the texture that another has, for example.

    python infer/combine.py stage1.pdparams --add srgan 1 --add srresnet -1 --output start.pdparams

Every weight of the result is FILE's plus the sum of NUMBER times each added generator's (task arithmetic,
arXiv 2212.04089). This gives a good generator only if all of them were trained from one another and the numbers sum
to 0. Batch norm's statistics remain FILE's. `train_gan.py --init` can start from the result.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse

from common import command
from common.errors import InputError
from common.files import check_apart
from infer.generator_flags import METAVAR, WEIGHTS
from models.weight_files.shipped import weights_path
from models.weight_files.weights import build_generator, generator_arrays, save


def mix(weights, blend="", alpha: float = 0.5) -> dict:
    """{name in `models.generator.Generator`: float32 array} of `weights`, a path; mixed, if `blend` is given.

    ESRGAN's network interpolation (arXiv 1809.00219, section 3.4): every array is (1 - alpha)·weights + alpha·blend,
    alpha 0..1. There, `weights` is trained for PSNR and `blend` against a discriminator; a larger alpha gives more
    detail and more artefacts. Raises InputError naming the file that cannot be used, and for another alpha.
    """
    if not 0 <= alpha <= 1:
        raise InputError(f"--alpha {alpha}: must be between 0 and 1")
    first = generator_arrays(weights)
    if not blend:
        return first
    second = generator_arrays(blend)
    return {name: (1 - alpha) * array + alpha * second[name] for name, array in first.items()}


def weighted_sum(path, added: list) -> dict:
    """The arrays of `path` plus the sum of share × arrays over `added`, [(path, share)]; statistics are `path`'s."""
    arrays = dict(generator_arrays(path))
    for other, share in added:
        for name, array in generator_arrays(other).items():
            if not name.endswith(("_mean", "_variance")):
                arrays[name] = arrays[name] + share * array
    return arrays


class _Added(argparse.Action):
    """Append (path, share) of `--add WEIGHTS NUMBER`."""

    def __call__(self, parser, namespace, values, flag=None):
        try:
            share = command.Number(-10, 10)(values[1])
        except argparse.ArgumentTypeError as error:
            parser.error(f"argument {flag}: {error}")
        setattr(namespace, self.dest, [*(getattr(namespace, self.dest) or []), (weights_path(values[0]), share)])


def main(arguments) -> None:
    read = [("FILE", arguments.weights), *(("--add", path) for path, _ in arguments.add)]
    if not arguments.output.endswith(".pdparams"):
        raise InputError(f"--output {arguments.output}: weights are written; give a name ending in .pdparams")
    check_apart(read, files=[("--output", arguments.output)])
    save(build_generator(weighted_sum(arguments.weights, arguments.add)), arguments.output)
    print(arguments.output)


def parser():
    result = command.parser(__doc__)
    result.add_argument("weights", metavar="FILE", type=weights_path, help=f"the generator to add to: {WEIGHTS}")
    result.add_argument(
        "--add",
        nargs=2,
        metavar=(METAVAR, "NUMBER"),
        action=_Added,
        required=True,
        help="a generator and its share, -10 to 10; may be given several times",
    )
    result.add_argument("--output", "-o", metavar="FILE", required=True, help="the .pdparams file to write")
    return result


if __name__ == "__main__":
    command.run(parser().parse_args(), main)
