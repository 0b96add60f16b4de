"""The notebook, executed from its first cell to its last in a copy of the repository, and as it is stored."""

import base64
import csv
import io
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers import golden, matlab
from tests.helpers.fluid_files import variable
from tests.helpers.zips import zipped
from train import pretrain_g, train_gan
from train.recipe import RECIPES
from train.training_flags import recipe_of

ROOT = Path(__file__).resolve().parents[1]
STORED = json.loads((ROOT / "notebooks" / "srgan.ipynb").read_text(encoding="utf-8"))
CODE = [cell for cell in STORED["cells"] if cell["cell_type"] == "code"]
TEXTS = ["".join(cell["source"]) for cell in STORED["cells"] if cell["cell_type"] == "markdown"]


def source(cell) -> str:
    return "".join(cell["source"])


# ------------------------------------------------------------------------------------------------------ as it is stored


def test_nothing_is_stored_of_its_outputs_but_two_small_pictures():
    outputs = [output for cell in CODE for output in cell["outputs"]]
    assert len(outputs) == 2
    for output in outputs:
        assert set(output["data"]) == {"image/jpeg", "text/plain"}
        content = base64.b64decode("".join(output["data"]["image/jpeg"]))
        assert 10_000 < len(content) < 150_000
        image = np.asarray(Image.open(io.BytesIO(content)).convert("L"))
        assert min(image.shape) > 200
        assert image.std() > 20
    assert all(cell["execution_count"] is None for cell in CODE)
    assert (ROOT / "notebooks" / "srgan.ipynb").stat().st_size < 500_000


def test_every_text_is_in_chinese_first_and_english_beside_it():
    for text in TEXTS:
        chinese = [match.start() for match in re.finditer(r"[\u4e00-\u9fff]{4}", text)]
        english = [match.start() for match in re.finditer(r"(?:\b[A-Za-z'-]+[ ,]+){5}", text)]
        assert chinese and english and chinese[0] < english[0] and english[-1] > chinese[-1], text


def test_settings_come_first_and_nothing_is_of_one_machine():
    assert source(CODE[0]).startswith("QUICK = True")
    empty = re.findall(r'^(\w+) = ""', source(CODE[0]), re.MULTILINE)
    assert empty == ["DATA", "VGG19", "G_MODELS", "INIT", "MEASURE", "PHOTO"]
    everything = "\n".join([*TEXTS, *map(source, CODE)])
    absolute = re.findall(r"(?<![\w.:/])/(?:[\w.-]+/)+[\w.-]*", everything)
    assert set(absolute) <= {"/home/aistudio/data"}


def test_no_command_can_fail_unseen():
    assert not [line for cell in CODE for line in source(cell).splitlines() if line.lstrip().startswith(("!", "%"))]


def test_without_quick_the_recipe_is_the_articles(capsys):
    def run(script, *words):
        parser = (pretrain_g if "pretrain" in script else train_gan).PARSER
        arguments = parser.parse_args(list(map(str, words)))
        print(script, arguments.resume, recipe_of(arguments, parser))

    values = {"QUICK": False, "INIT": "", "OUTPUT": Path("output"), "PICTURES": Path("DIV2K"), "HR_SIZE": 384}
    values.update(data_flags=[], vgg19_flags=["--vgg19", "weights"], run=run)
    for cell in CODE:
        if 'run("train/' in source(cell):
            exec(source(cell), values)  # noqa: S102  the notebook's own cell
    commands = ("train/pretrain_g.py", "train/pretrain_g.py", "train/train_gan.py")
    assert capsys.readouterr().out.splitlines() == [f"{command} True {RECIPES['article']}" for command in commands]


# ------------------------------------------------------------------------------------------------------------ executed


@pytest.fixture(scope="module", autouse=True)
def own_kernel(tmp_path_factory):
    """The kernel is this Python's, not one that the user has installed, and leaves nothing in the user's folders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_DATA_DIR", str(tmp_path_factory.mktemp("jupyter")))
        patch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
        yield


# The commands in the kernel's own process, which has loaded Paddle; test_notebook_show.py shows that `run` starts them.
IN_THE_KERNEL = """
from notebooks import show
from tests.helpers import commands
from train.run import cpu


def run(*words):
    assert commands.run(*words) == 0


show.run = run
cpu.speed_up = lambda *networks, **settings: None  # compiling takes longer than a few steps
"""


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """(the executed notebook, its project): QUICK, a narrow D, small pictures and a checkpoint mounted as zips."""
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    home = tmp_path_factory.mktemp("aistudio")
    link_project(home / "srgan")
    # What takes most of the time: D's 89 million weights, the statistics of batch norm, the steps.
    set_constant(home / "srgan" / "models" / "discriminator.py", "CHANNELS", (8,) * 8)
    set_constant(home / "srgan" / "train" / "bn_statistics.py", "BATCHES", 2)
    Image.fromarray(matlab.noise(40, 60)).save(home / "mine.png")
    (home / "measured").mkdir()
    for i in range(2):
        (home / "measured" / f"{i}.png").write_bytes(png(64, 60 + i))
    (home / "data" / "data1").mkdir(parents=True)
    files = {
        "original": {
            f"models/g_models/{name}": variable(array) for name, array in golden.generator_variables().items()
        },
        "photos": {f"{i}.png": png(120, 100 + i) for i in range(12)},
    }
    for name, content in files.items():
        (home / "data" / "data1" / f"{name}.zip").write_bytes(zipped(content))
    notebook = nbformat.read(home / "srgan" / "notebooks" / "srgan.ipynb", as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    settings = {"MOUNTED": home / "data", "MEASURE": home / "measured", "PHOTO": home / "mine.png"}
    for name, value in settings.items():
        cells[0].source, count = re.subn(
            rf"^{name} = .*", f"{name} = {str(value)!r}", cells[0].source, flags=re.MULTILINE
        )
        assert count == 1
    (set_up,) = [cell for cell in cells if "set_up()" in cell.source]
    set_up.source += IN_THE_KERNEL
    for text, smaller in (("HR_SIZE = 96", "HR_SIZE = 32"), ("36 // count", "1")):
        (cell,) = [cell for cell in cells if text in cell.source]
        cell.source = cell.source.replace(text, smaller)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", "")  # the kernel is to find the project by itself, not this one
        nbclient.NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(home)}}).execute()
    return notebook, home / "srgan"


def png(height: int, width: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(matlab.noise(height // 4, width // 4)).resize((width, height)).save(stream, "PNG")
    return stream.getvalue()


def link_project(folder: Path) -> None:
    """What git has of the repository, or would take, as hard links: nothing is written to them."""
    line = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(line, cwd=ROOT, capture_output=True, check=True).stdout.decode("utf-8").split("\0")
    for name in set(filter(None, names)):
        if (ROOT / name).is_file():  # not what is deleted and not yet committed
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(ROOT / name, folder / name)
            except OSError:  # another file system
                shutil.copy(ROOT / name, folder / name)


def set_constant(module: Path, name: str, value) -> None:
    """Give a constant of a linked module another value."""
    text, count = re.subn(
        rf"^{name} = .*", f"{name} = {value!r}", module.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    assert count == 1
    module.unlink()  # a hard link
    module.write_text(text, encoding="utf-8")


def cell_of(executed, text: str):
    """The one cell whose source has this text."""
    (cell,) = [cell for cell in executed[0].cells if cell.cell_type == "code" and text in cell.source]
    return cell


def printed(cell) -> str:
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def images(cell) -> list:
    """The pictures that a cell shows, RGB uint8 [h,w,3]."""
    data = [output.data["image/jpeg"] for output in cell.outputs if "image/jpeg" in output.get("data", {})]
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB")) for text in data]


def means_of(text: str) -> list:
    """The methods of evaluate's last table."""
    return re.findall(r"^(\w+) +-?[\d.]+", text[text.index("mean of 2 pictures") :].partition("\n")[2], re.MULTILINE)


def test_what_is_installed_stays_and_what_is_mounted_is_trained_and_measured_on(executed):
    assert "stays as it is" in printed(cell_of(executed, "set_up()"))
    said = printed(cell_of(executed, "sources.training"))
    assert re.search(r"pictures to train on: data/mounted/data1/\d+/photos, 12 of them\nQUICK takes the first 8", said)
    assert re.search("pictures to measure on: .*/measured", said)
    assert "WITHOUT THE VGG LOSS" in printed(cell_of(executed, "sources.vgg19"))
    said = printed(cell_of(executed, '"--figure", OUTPUT / "comparison.png"'))
    assert {"bicubic", "srgan", "pretrain_g", "srgan_g"} <= set(means_of(said))


def test_both_stages_train_and_go_on_from_the_checkpoint(executed):
    with open(executed[1] / "output" / "quick" / "log.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    epochs = [(row["stage"], int(row["epoch"])) for row in rows]
    assert epochs == [("pretrain_g", epoch) for epoch in range(4)] + [("srgan_g", epoch) for epoch in range(3)]
    figures = [float(value) for row in rows for name, value in row.items() if name != "stage" and value]
    assert np.isfinite(figures).all()
    said = printed(cell_of(executed, '["--epochs", 3]'))
    assert re.search(r"resuming from .*epoch_000003_step_000000\.npz: epoch 3", said) and "epoch 0/" not in said


def test_pictures_tables_and_curves_are_shown(executed):
    for text in (
        *('"SRGAN"], inches', "crops = [", '"epoch_init", HR', '"epoch", HR', "srgan_g_figure.png", "Low resolution"),
        *('show.picture(OUTPUT / "comparison', '["bicubic", "generated"], inches'),
    ):
        (shown,) = images(cell_of(executed, text))
        assert min(shown.shape[:2]) > 100 and shown.std() > 10
    assert len(images(cell_of(executed, "_losses.png"))) == 2
    assert "ResidualBlock-1" in printed(cell_of(executed, "paddle.summary(Generator"))
    assert "Linear-1" in printed(cell_of(executed, "paddle.summary(Discriminator"))
    assert Image.open(executed[1] / "output" / "quick" / "upscaled" / "mine_x4.png").size == (240, 160)


def test_the_original_projects_checkpoint_is_compared(executed):
    cell = cell_of(executed, "sources.g_models")
    assert {"bicubic", "g_models", "srgan_g"} <= set(means_of(printed(cell))) and len(images(cell)) == 1


def test_nothing_is_written_into_the_repository_but_what_git_ignores(executed):
    subprocess.run(["git", "init", "-q"], cwd=executed[1], check=True)
    line = ["git", "ls-files", "-z", "--others", "--exclude-standard"]
    seen = subprocess.run(line, cwd=executed[1], capture_output=True, check=True).stdout.decode("utf-8").split("\0")
    assert not [name for name in seen if name and not (ROOT / name).exists()]
