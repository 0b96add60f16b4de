"""Add generators, weighted, to a generator: for example the texture of one to another that has none.

    python infer/combine.py stage1.pdparams --add srgan 1 --add srresnet -1 --output start.pdparams

Every weight of the result is FILE's plus the sum of NUMBER times each added generator's (task arithmetic,
arXiv 2212.04089). This gives a good generator only if all of them were trained from one another and the numbers sum
to 0. Batch norm's statistics remain FILE's. `train_gan.py --init` can start from the result.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse

import common.full_set  # noqa: F401
from common import command
from common.files import check_apart
from infer.generator_flags import METAVAR, WEIGHTS
from models.layers import is_statistic
from models.weight_files import weights
from models.weight_files.shipped import weights_path


def combined(path, added: list):
    """A generator: that of `path` plus the sum of share × generator over `added`, [(path, share)].

    Raises InputError naming the file if one cannot be used.
    """
    result = weights.load_generator(path)
    state = {name: value.numpy() for name, value in result.state_dict().items()}
    for other, share in added:
        for name, value in weights.load_generator(other).state_dict().items():
            if not is_statistic(name):
                state[name] = state[name] + share * value.numpy()
    result.set_state_dict(state)
    return result


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
    check_apart(read, files=[("--output", arguments.output)])
    weights.save(combined(arguments.weights, arguments.add), arguments.output)
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
