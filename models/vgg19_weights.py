"""The public VGG19 weights under their several names: told apart, checked, never skipped."""

import re
from pathlib import Path

from models.errors import InputError
from models.fluid import read_persistables
from models.variables import select
from models.vgg19 import CONVS, FCS, VGG19
from models.weights import read_pdparams


class _Form:
    """How one published file names VGG19's variables.

    conv and fc: {layer of `models.vgg19`: its name in the file, without the ending}; weight and bias: the endings;
    conv_pattern: what any convolution variable of such a file looks like, so that one too many is seen.
    """

    def __init__(self, title, conv, fc, weight=".weight", bias=".bias", conv_pattern="", conv_bias=False):
        self.title, self.conv, self.fc = title, conv, fc
        self.weight, self.bias, self.conv_bias = weight, bias, conv_bias
        self.conv_pattern = re.compile(conv_pattern)

    def table(self, with_classifier: bool) -> dict:
        """{name in the network: (name in the file, shape)} of every variable the network takes."""
        rows = {}
        for name, (inputs, outputs) in CONVS.items():
            rows[f"{name}.weight"] = (self.conv[name] + self.weight, (outputs, inputs, 3, 3))
            if self.conv_bias:
                rows[f"{name}.bias"] = (self.conv[name] + self.bias, (outputs,))
        if with_classifier:
            for name, (inputs, outputs) in FCS.items():
                rows[f"{name}.weight"] = (self.fc[name] + self.weight, (inputs, outputs))
                rows[f"{name}.bias"] = (self.fc[name] + self.bias, (outputs,))
        return rows


def _each_conv(template: str) -> dict:
    """{conv2_1: template with {block} = 2 and {i} = 1, …}"""
    return {name: template.format(block=name[4], i=name[6]) for name in CONVS}


def _features() -> dict:
    """paddle.vision numbers convolutions, ReLUs (one each) and poolings (one a block) through: 0, 2, 5, 7, 10 …"""
    return {name: f"features.{2 * n + int(name[4]) - 1}" for n, name in enumerate(CONVS)}


FORMS = (
    _Form(
        "the article's folder, fluid format",
        conv=_each_conv("vgg19_conv{block}_{i}"),
        fc={name: name for name in FCS},
        weight="_weights",
        bias="_offset",
        conv_pattern=r"vgg19_conv\d+_\d+_",
    ),
    _Form(
        "Paddle's original archive, fluid format",
        conv=_each_conv("conv{block}_{i}"),
        fc={name: name for name in FCS},
        weight="_weights",
        bias="_offset",
        conv_pattern=r"conv\d+_\d+_",
    ),
    _Form(
        "PaddleClas' legendary_models/VGG19_pretrained.pdparams",
        conv=_each_conv("conv_block_{block}.conv{i}"),
        fc={"fc6": "fc1", "fc7": "fc2", "fc8": "fc3"},
        conv_pattern=r"conv_block_\d+\.",
    ),
    _Form(
        "PaddleClas' early dygraph/VGG19_pretrained.pdparams",
        conv=_each_conv("_conv_block_{block}._conv_{i}"),
        fc={"fc6": "_fc1", "fc7": "_fc2", "fc8": "_out"},
        conv_pattern=r"_conv_block_\d+\.",
    ),
    _Form(
        "paddle.vision's vgg19.pdparams, with biases",
        conv=_features(),
        fc={"fc6": "classifier.0", "fc7": "classifier.3", "fc8": "classifier.6"},
        conv_pattern=r"features\.\d+\.",
        conv_bias=True,
    ),
)


def load_vgg19(path, with_classifier: bool = False) -> VGG19:
    """VGG19 with the weights of a public file or folder, frozen and in eval mode; prints which form was found.

    path: a folder of fluid variables or a `.pdparams` file, in any form of `FORMS`. with_classifier: also load the
    three fully connected layers (494 MB).
    Raises InputError naming the file and the variables if a convolution (or, when asked for, the classifier) is
    missing, has another shape, or there is one more than VGG19 has.
    """
    variables = read_persistables(path) if Path(path).is_dir() else read_pdparams(path)
    form = _recognise(variables, path)
    table = form.table(with_classifier)
    source = f"{path} ({form.title})"
    state = select(variables, table, source)
    known = {name for name, _ in table.values()}
    extra = sorted(name for name in variables if form.conv_pattern.match(name) and name not in known)
    if extra:
        raise InputError(f"{source}: convolution variables that VGG19 does not have: {', '.join(extra[:4])}")
    network = VGG19(with_classifier, form.conv_bias)
    network.set_state_dict(state)
    network.eval()
    for parameter in network.parameters():
        parameter.stop_gradient = True
    print(f"VGG19: {source}")
    return network


def _recognise(variables: dict, path) -> _Form:
    for form in FORMS:
        if any(form.conv_pattern.match(name) for name in variables):
            return form
    shown = ", ".join(sorted(variables)[:4] + ["…"])
    raise InputError(f"{path}: no VGG19 weights in any known form; found {len(variables)} variables: {shown}")
