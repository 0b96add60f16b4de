"""The public VGG19 weights in their different naming schemes: recognised and checked."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from common.errors import InputError
from common.files import AnyPath
from models.vgg19 import LAYERS, VGG19, convolutions_to
from models.weight_files.fluid import read_persistables
from models.weight_files.variables import Table, select
from models.weight_files.weights import read_pdparams


class Form(NamedTuple):
    """How one published file names the weight of VGG19's i-th convolution of a block, and its bias if it has one."""

    title: str
    weight: str
    bias: str = ""


FORMS = (
    Form("the article's folder, fluid format", "vgg19_conv{block}_{i}_weights"),
    Form("Paddle's original archive, fluid format", "conv{block}_{i}_weights"),
    Form("PaddleClas' legendary_models/VGG19_pretrained.pdparams", "conv_block_{block}.conv{i}.weight"),
    Form("PaddleClas' early dygraph/VGG19_pretrained.pdparams", "_conv_block_{block}._conv_{i}.weight"),
    Form("paddle.vision's vgg19.pdparams, with biases", "features.{place}.weight", "features.{place}.bias"),
)


def table(form: Form, deepest: str = LAYERS[-1]) -> Table:
    """{name in the network: (name in a file of this form, shape)} of all convolutions down to the layer `deepest`."""
    rows: Table = {}
    for number, (layer, (inputs, outputs)) in enumerate(convolutions_to(deepest).items()):
        block, i = int(layer[4]), int(layer[6])
        # Convolutions, ReLUs (one each) and poolings (one per block) share one numbering: 0, 2, 5, 7, 10 …
        places = {"block": block, "i": i, "place": 2 * number + block - 1}
        rows[f"{layer}.weight"] = (form.weight.format(**places), (outputs, inputs, 3, 3))
        if form.bias:
            rows[f"{layer}.bias"] = (form.bias.format(**places), (outputs,))
    return rows


def load_vgg19(path: AnyPath, deepest: str = LAYERS[-1]) -> VGG19:
    """VGG19 with the weights of a public file or folder, frozen and in eval mode; prints which form it has.

    path: a folder of fluid variables or a `.pdparams` file, in any form in `FORMS`. deepest: the deepest layer needed
    (see `VGG19`); the file may lack deeper ones.
    Raises InputError naming the file and the variables if a convolution is missing or has a wrong shape.
    """
    if Path(path).is_dir():
        variables = read_persistables(path, lambda name: name.endswith("_weights") and not name.startswith("fc"))
    else:
        variables = read_pdparams(path)
    form = next((form for form in FORMS if next(iter(table(form).values()))[0] in variables), None)
    if form is None:
        shown = ", ".join(sorted(variables)[:4] + ["…"])
        raise InputError(f"{path}: no VGG19 weights in any known form; found {len(variables)} variables: {shown}")
    source = f"{path} ({form.title})"
    network = VGG19(bool(form.bias), deepest)
    network.set_state_dict(select(variables, table(form, deepest), source))
    network.eval()
    for parameter in network.parameters():
        parameter.stop_gradient = True
    print(f"VGG19: {source}")
    return network
