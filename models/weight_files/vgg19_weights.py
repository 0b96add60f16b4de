"""The public VGG19 weights in their different naming schemes: recognised and checked; no variable is skipped."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Callable, NamedTuple

from common.errors import InputError
from common.files import AnyPath
from models.vgg19 import CONVS, FCS, LAYERS, VGG19, convolutions_to
from models.weight_files.fluid import read_persistables, vgg19_table
from models.weight_files.variables import Arrays, Table, select
from models.weight_files.weights import read_pdparams


class Form(NamedTuple):
    """How one published file names VGG19's variables.

    conv_pattern: matches the name of any convolution variable in such a file, including surplus ones.
    table: called with `with_classifier`; returns {name in the network: (name in the file, shape)}.
    """

    title: str
    conv_pattern: str
    table: Callable[[bool], Table]
    conv_bias: bool = False


def _table(
    conv_name: Callable[[int, int, int], str], fc_names: tuple[str, ...], conv_bias: bool, with_classifier: bool
) -> Table:
    """The table of a dygraph file. conv_name: called with the block, the number in the block and the overall number."""
    rows: Table = {}
    for number, (layer, (inputs, outputs)) in enumerate(CONVS.items()):
        name = conv_name(int(layer[4]), int(layer[6]), number)
        rows[f"{layer}.weight"] = (f"{name}.weight", (outputs, inputs, 3, 3))
        if conv_bias:
            rows[f"{layer}.bias"] = (f"{name}.bias", (outputs,))
    if with_classifier:
        for name, (layer, (inputs, outputs)) in zip(fc_names, FCS.items()):
            rows[f"{layer}.weight"] = (f"{name}.weight", (inputs, outputs))
            rows[f"{layer}.bias"] = (f"{name}.bias", (outputs,))
    return rows


def _dygraph(
    title: str,
    conv_pattern: str,
    conv_name: Callable[[int, int, int], str],
    fc_names: tuple[str, ...],
    conv_bias: bool = False,
) -> Form:
    return Form(title, conv_pattern, functools.partial(_table, conv_name, fc_names, conv_bias), conv_bias)


FORMS = (
    Form("the article's folder, fluid format", r"vgg19_conv\d+_\d+_", functools.partial(vgg19_table, "vgg19_")),
    Form("Paddle's original archive, fluid format", r"conv\d+_\d+_", functools.partial(vgg19_table, "")),
    _dygraph(
        "PaddleClas' legendary_models/VGG19_pretrained.pdparams",
        r"conv_block_\d+\.",
        lambda block, i, number: f"conv_block_{block}.conv{i}",
        ("fc1", "fc2", "fc3"),
    ),
    _dygraph(
        "PaddleClas' early dygraph/VGG19_pretrained.pdparams",
        r"_conv_block_\d+\.",
        lambda block, i, number: f"_conv_block_{block}._conv_{i}",
        ("_fc1", "_fc2", "_out"),
    ),
    _dygraph(
        "paddle.vision's vgg19.pdparams, with biases",
        r"features\.\d+\.",
        # Convolutions, ReLUs (one each) and poolings (one per block) share one numbering: 0, 2, 5, 7, 10 …
        lambda block, i, number: f"features.{2 * number + block - 1}",
        ("classifier.0", "classifier.3", "classifier.6"),
        conv_bias=True,
    ),
)


def load_vgg19(path: AnyPath, with_classifier: bool = False, deepest: str = LAYERS[-1]) -> VGG19:
    """VGG19 with the weights of a public file or folder, frozen and in eval mode; prints which form was found.

    path: a folder of fluid variables or a `.pdparams` file, in any form in `FORMS`. with_classifier: also load the
    three fully connected layers (494 MB). deepest: the deepest layer needed (see `VGG19`); the file may lack deeper
    ones.
    Raises InputError naming the file and the variables if a convolution (or a requested classifier layer) is missing
    or has a wrong shape, or if there are convolutions that VGG19 does not have.
    """
    if Path(path).is_dir():
        variables = read_persistables(path, lambda name: with_classifier or not name.startswith("fc"))
    else:
        variables = read_pdparams(path)
    form = _recognise(variables, path)
    needed = {*convolutions_to(deepest), *(FCS if with_classifier else ())}
    table = form.table(with_classifier)
    known = {name for name, _ in table.values()}
    table = {key: row for key, row in table.items() if key.partition(".")[0] in needed}
    source = f"{path} ({form.title})"
    state = select(variables, table, source)
    extra = sorted(name for name in variables if re.match(form.conv_pattern, name) and name not in known)
    if extra:
        raise InputError(f"{source}: convolution variables that VGG19 does not have: {', '.join(extra[:4])}")
    network = VGG19(with_classifier, form.conv_bias, deepest)
    network.set_state_dict(state)
    network.eval()
    for parameter in network.parameters():
        parameter.stop_gradient = True
    print(f"VGG19: {source}")
    return network


def _recognise(variables: Arrays, path: AnyPath) -> Form:
    for form in FORMS:
        if any(re.match(form.conv_pattern, name) for name in variables):
            return form
    shown = ", ".join(sorted(variables)[:4] + ["…"])
    raise InputError(f"{path}: no VGG19 weights in any known form; found {len(variables)} variables: {shown}")
