"""The notebook, executed from its first cell to its last in a copy of the repository, and as it is stored."""

import ast
import base64
import csv
import io
import json
import re
import shutil
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from tests.helpers import golden
from tests.helpers.fluid_files import variable
from train.recipe import RECIPES

ROOT = Path(__file__).resolve().parents[1]
STORED = json.loads((ROOT / "notebooks" / "srgan.ipynb").read_text(encoding="utf-8"))
CODE = [cell for cell in STORED["cells"] if cell["cell_type"] == "code"]
TEXTS = ["".join(cell["source"]) for cell in STORED["cells"] if cell["cell_type"] == "markdown"]
QUICK_HR = 96


def source(cell) -> str:
    return "".join(cell["source"])


# ------------------------------------------------------------------------------------------------------ as it is stored


def test_nothing_is_stored_of_its_outputs_but_two_small_pictures():
    outputs = [output for cell in CODE for output in cell["outputs"]]
    assert [output["output_type"] for output in outputs] == ["display_data"] * 2
    for output in outputs:
        assert set(output["data"]) == {"image/jpeg", "text/plain"}
        content = base64.b64decode("".join(output["data"]["image/jpeg"]))
        assert 10_000 < len(content) < 150_000
        image = np.asarray(Image.open(io.BytesIO(content)).convert("L"))
        assert min(image.shape) > 200
        assert image.std() > 20
    assert all(cell["execution_count"] is None for cell in CODE)
    assert (ROOT / "notebooks" / "srgan.ipynb").stat().st_size < 500_000


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_every_text_is_in_chinese_first_and_english_beside_it(text):
    chinese = [match.start() for match in re.finditer(r"[\u4e00-\u9fff]{4}", text)]
    english = [match.start() for match in re.finditer(r"(?:\b[A-Za-z'-]+[ ,]+){5}", text)]
    assert chinese and english
    assert chinese[0] < english[0]
    assert english[-1] > chinese[-1]


def test_settings_come_first_and_nothing_is_of_one_machine():
    assert source(CODE[0]).startswith("QUICK = True")
    settings = dict(re.findall(r"^(\w+) = ([^#\n]*?)\s*(?:#.*)?$", source(CODE[0]), re.MULTILINE))
    assert {name: settings[name] for name in ("DATA", "VGG19", "G_MODELS", "INIT", "PHOTO")} == dict.fromkeys(
        ("DATA", "VGG19", "G_MODELS", "INIT", "PHOTO"), '""'
    )
    everything = "\n".join([*TEXTS, *map(source, CODE)])
    absolute = re.findall(r"(?<![\w.:/])/(?:[\w.-]+/)+[\w.-]*", everything)
    assert set(absolute) <= {"/home/aistudio/data"}


def test_no_command_can_fail_unseen():
    assert not [line for cell in CODE for line in source(cell).splitlines() if line.lstrip().startswith(("!", "%"))]


STAND_INS = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from train import pretrain_g, train_gan
from train.training_flags import recipe_of
QUICK, INIT, OUTPUT, PICTURES, HR_SIZE = False, "", Path("output"), Path("DIV2K"), 384
data_flags, vgg19_flags = [], ["--vgg19", "weights"]

def run(script, *words):
    parser = (pretrain_g if "pretrain" in script else train_gan).PARSER
    arguments = parser.parse_args(list(map(str, words)))
    print(script, arguments.resume, recipe_of(arguments, parser))

"""


@pytest.mark.slow
def test_without_quick_the_recipe_is_the_articles():
    cells = [source(cell) for cell in CODE if 'run("train/' in source(cell)]
    script = "\n".join([STAND_INS.format(root=str(ROOT)), *cells])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    commands = ("train/pretrain_g.py", "train/pretrain_g.py", "train/train_gan.py")
    assert done.stdout.splitlines() == [f"{command} True {RECIPES['article']}" for command in commands]


# ------------------------------------------------------------------------------------------------------------ executed


@pytest.fixture(scope="module", autouse=True)
def own_kernel(tmp_path_factory):
    """The kernel is this Python's, not one that the user has installed, and leaves nothing in the user's folders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_DATA_DIR", str(tmp_path_factory.mktemp("jupyter")))
        patch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
        yield


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """(the executed notebook, the folder of its project). It has QUICK's settings and a mounted data set."""
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    from notebooks import run

    home = tmp_path_factory.mktemp("aistudio")
    clone(home / "srgan")
    mount(home / "data")
    notebook = nbformat.read(home / "srgan" / "notebooks" / "srgan.ipynb", as_version=4)
    run.with_settings(notebook, {"MOUNTED": str(home / "data")})
    for text in PROBES:
        notebook.cells.append(nbformat.v4.new_code_cell(text))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", "")  # the kernel is to find the project by itself, not this one
        run.execute(notebook, home)
    return notebook, home / "srgan"


# What only the kernel has, for the tests to look at.
PROBES = (
    "import numpy as np\nnp.save('probe_root.npy', np.array(str(ROOT)))",
    "np.save('probe_original.npy', original(paddle.to_tensor(np.load('../golden_lr.npy'))).detach().numpy())",
    "np.savez('probe_detail.npz', before=before, after=after)",
    "np.savez('probe_figure.npz', lr=lr, sr=sr)",
    "print(len([name for name in sys.modules if name.startswith('openvino')]), 'modules of openvino')",
)


def clone(folder: Path) -> None:
    """What git has of the repository, or would take."""
    line = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(line, cwd=ROOT, capture_output=True, check=True).stdout.decode("utf-8").split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():  # not what is deleted and not yet committed
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


def mount(folder: Path) -> None:
    """A data set as AI Studio mounts it: one zip with the original project's checkpoint; and its recorded input."""
    (folder / "data4321").mkdir(parents=True)
    with zipfile.ZipFile(folder / "data4321" / "original.zip", "w") as archive:
        for name, array in golden.generator_variables().items():
            archive.writestr(f"original/models/g_models/{name}", variable(array))
    np.save(folder.parent / "golden_lr.npy", golden.nchw(golden.picture("lr", (2, 24, 32, 3))))


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


def log(project: Path, stage: str) -> list:
    with open(project / "output" / "quick" / "log.csv", newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["stage"] == stage]


def rgb(path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def test_it_finds_its_project_from_the_folder_above(executed):
    assert str(np.load(executed[1] / "probe_root.npy")) == str(executed[1])


def test_the_installed_paddle_stays(executed):
    said = printed(cell_of(executed, "set_up()"))
    assert "is installed and stays as it is" in said
    assert "installed: nothing new" in said
    assert re.search(r"Paddle \d+\.\d+\.\d+ on cpu", said)


def test_the_sample_is_said_and_what_is_measured_was_not_trained_on(executed):
    said = printed(cell_of(executed, "sources.training"))
    assert "SAMPLE PHOTOGRAPHS" in said
    trained = {path.name for path in (executed[1] / "data" / "sample" / "train").glob("*.png")}
    measured = {path.name for path in (executed[1] / "data" / "sample" / "held_out").glob("*.png")}
    assert len(trained) == 3 and len(measured) == 2
    assert not trained & measured
    assert "WITHOUT THE VGG LOSS" in printed(cell_of(executed, "sources.vgg19"))


@pytest.mark.parametrize("stage", ["pretrain_g", "srgan_g"])
def test_the_log_has_every_epoch_once_and_finite_figures(executed, stage):
    rows = log(executed[1], stage)
    assert [int(row["epoch"]) for row in rows] == list(range({"pretrain_g": 4, "srgan_g": 3}[stage]))
    figures = [float(value) for row in rows for name, value in row.items() if name != "stage" and value]
    assert np.isfinite(figures).all()


def test_stage_1_starts_from_the_shipped_generator_and_does_not_spoil_it(executed):
    """A generator that starts from nothing has less than 20 dB after so few steps; each sample has other crops."""
    psnr = [float(row["sample_psnr"]) for row in log(executed[1], "pretrain_g") if row["sample_psnr"]]
    assert min(psnr) > 22
    assert psnr[-1] > psnr[0] - 2


@pytest.mark.parametrize(
    ("text", "stage", "epochs"),
    [
        ('["--epochs", 2]', "pretrain_g", (0, 1, 2)),
        ('["--epochs", 3]', "pretrain_g", (3,)),
        ("*STAGE2", "srgan_g", (0, 1, 2)),
    ],
)
def test_what_training_prints_is_what_the_log_has(executed, text, stage, epochs):
    found = re.findall(r"sample PSNR: ([\d.]+) dB \(mean of \d+ crops, epoch (\d+)\)", printed(cell_of(executed, text)))
    rows = log(executed[1], stage)
    assert [(f"{float(rows[epoch]['sample_psnr']):.2f}", str(epoch)) for epoch in epochs] == found


def test_progress_is_shown_and_rewrites_its_line(executed):
    said = printed(cell_of(executed, '["--epochs", 2]'))
    assert re.search(r"\repoch 0/2: .*9/9", said)
    assert "[*] Epoch_init: [ 2/ 2]" in said


def test_a_new_process_went_on_from_the_checkpoint(executed):
    said = printed(cell_of(executed, '["--epochs", 3]'))
    assert re.search(r"resuming from .*epoch_000003_step_000000\.npz: epoch 3", said)
    assert "epoch 0/" not in said


@pytest.mark.parametrize(("prefix", "epochs"), [("epoch_init", (1, 2, 3)), ("epoch", (1, 2))])
def test_the_samples_are_of_several_epochs_side_by_side(executed, prefix, epochs):
    folder = executed[1] / "output" / "quick"
    for epoch in epochs:
        shapes = [rgb(folder / f"{prefix}_{epoch}_{end}.jpg").shape for end in ("G", QUICK_HR // 4, QUICK_HR)]
        assert shapes == [(QUICK_HR, QUICK_HR, 3), (QUICK_HR // 4, QUICK_HR // 4, 3), (QUICK_HR, QUICK_HR, 3)]
    (shown,) = images(cell_of(executed, f'show.samples(OUTPUT, "{prefix}"'))
    found = panels(shown)
    assert len(found) == 3 * len(epochs)
    for column in range(len(epochs)):
        lr, hr = (found[row * len(epochs) + column] for row in (0, 2))
        # The input is the photograph's own: far more like it than another epoch's is.
        assert difference(lr, hr) < 30
    different = [difference(found[-1], other) for other in found[-len(epochs) : -1]]
    assert min(different) > 10


def panels(shown: np.ndarray) -> list:
    """The pictures of a figure on white ground: what lies between its white lines and columns, row by row."""
    found = []
    for rows in runs((shown < 200).any(axis=2).mean(axis=1) > 0.3):
        strip = shown[rows]
        found += [strip[:, columns] for columns in runs((strip < 245).any(axis=2).mean(axis=0) > 0.5)]
    return [panel for panel in found if min(panel.shape[:2]) > 60]


def runs(wanted: np.ndarray) -> list:
    """The slices in which `wanted` is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], wanted.astype(int), [0]])))
    return [slice(start, end) for start, end in zip(edges[::2], edges[1::2])]


def difference(first: np.ndarray, second: np.ndarray) -> float:
    """Mean absolute difference of two pictures, both shrunk to 16x16."""
    small = [
        np.asarray(Image.fromarray(np.ascontiguousarray(p)).resize((16, 16), Image.Resampling.BOX))
        for p in (first, second)
    ]
    return float(np.abs(small[0].astype(float) - small[1]).mean())


def test_the_articles_figure_has_three_pictures(executed):
    (shown,) = images(cell_of(executed, "srgan_g_figure.png"))
    assert len(panels(shown)) == 3


def test_the_figure_of_a_photograph_that_was_not_trained_on(executed):
    (shown,) = images(cell_of(executed, "Low resolution"))
    low, high, _ = panels(shown)
    photo = Image.open(executed[1] / "data" / "sample" / "held_out" / "coffee.png").convert("RGB")
    assert difference(np.asarray(photo.crop((130, 8, 514, 392))), high) < 5
    assert difference(low, high) < 10
    with np.load(executed[1] / "probe_figure.npz") as probe:
        assert probe["lr"].shape == (96, 96, 3) and probe["sr"].shape == (384, 384, 3)
        # The network in the kernel is that of the file: the command computes the same picture of the same LR.
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(executed[1])
            Image.fromarray(probe["lr"]).save("probe_lr.png")
            line = ["infer/upscale.py", "probe_lr.png", "-o", "probe", "--weights", "output/quick/srgan_g.pdparams"]
            subprocess.run([sys.executable, *line, "--engine", "eager"], check=True, capture_output=True)
            assert np.abs(rgb("probe/probe_lr_x4.png").astype(int) - probe["sr"]).max() <= 1


def test_the_drawings_show_the_networks_and_the_curves_are_there(executed):
    for text in ('"Generator")', '"Discriminator")', "show.curves"):
        (shown,) = images(cell_of(executed, text))
        assert min(shown.shape[:2]) > 250
        assert shown.std() > 10


def test_the_benchmark_has_a_row_for_each_stage_and_bicubics_is_right(executed):
    said = printed(cell_of(executed, '"--figure", OUTPUT / "comparison.png"'))
    means = said[said.index("mean of 2 pictures") :]
    rows = dict(re.findall(r"^(bicubic|pretrain_g|srgan_g) +(-?[\d.]+)", means, re.MULTILINE))
    assert set(rows) == {"bicubic", "pretrain_g", "srgan_g"}
    assert all(5 < float(psnr) < 50 for psnr in rows.values())
    # Pillow's bicubic filters as MATLAB's does, but for the borders; Y's PSNR is some 1 dB above that of RGB.
    plain = [psnr_of_pillows_bicubic(path) for path in (executed[1] / "data" / "sample" / "held_out").glob("*.png")]
    assert float(rows["bicubic"]) == pytest.approx(np.mean(plain) + 1.3, abs=0.7)


def psnr_of_pillows_bicubic(path) -> float:
    hr = Image.open(path).convert("RGB")
    hr = hr.crop((0, 0, hr.width // 4 * 4, hr.height // 4 * 4))
    lr = hr.resize((hr.width // 4, hr.height // 4), Image.Resampling.BICUBIC)
    return peak_signal_noise_ratio(np.asarray(hr), np.asarray(lr.resize(hr.size, Image.Resampling.BICUBIC)))


def test_the_photograph_is_upscaled_and_the_detail_is_of_it(executed):
    project = executed[1]
    photo = rgb(project / "data" / "sample" / "held_out" / "chelsea.png")
    sr = rgb(project / "output" / "quick" / "upscaled" / "chelsea_x4.png")
    assert sr.shape == (4 * photo.shape[0], 4 * photo.shape[1], 3)
    with np.load(project / "probe_detail.npz") as probe:
        before, after = probe["before"], probe["after"]
    assert before.shape == after.shape
    places = [
        (top, left)
        for top in range(0, sr.shape[0] - after.shape[0] + 1, 4)
        for left in range(0, sr.shape[1] - after.shape[1] + 1, 4)
        if (sr[top, left : left + 8] == after[0, :8]).all()
        and (sr[top : top + after.shape[0], left : left + after.shape[1]] == after).all()
    ]
    ((top, left),) = places
    part = Image.fromarray(photo).crop(
        (left // 4, top // 4, left // 4 + after.shape[1] // 4, top // 4 + after.shape[0] // 4)
    )
    enlarged = np.asarray(part.resize((before.shape[1], before.shape[0]), Image.Resampling.BICUBIC))
    assert np.abs(enlarged.astype(int) - before).mean() < 1
    (shown,) = images(cell_of(executed, '["bicubic", "generated"], inches'))
    assert len(panels(shown)) == 2


def test_the_slider_has_both_pictures_in_it(executed):
    (output,) = cell_of(executed, "show.compare").outputs
    page = output.data["text/html"]
    pictures = [Image.open(io.BytesIO(base64.b64decode(text))) for text in re.findall(r"base64,([\w+/=]+)", page)]
    assert [picture.format for picture in pictures] == ["JPEG", "JPEG"]
    assert pictures[0].size == pictures[1].size
    assert 'type="range"' in page
    assert "http" not in page  # nothing is fetched
    assert len(page) < 300_000


def test_the_original_projects_checkpoint_computes_what_was_recorded(executed):
    with np.load(golden.RECORDINGS / "golden_seed0.npz") as recorded:
        expected = recorded["g_eval"]
    found = np.load(executed[1] / "probe_original.npy")
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_the_original_projects_checkpoint_is_unpacked_and_compared(executed):
    cell = cell_of(executed, "sources.g_models")
    said = printed(cell)
    assert "unpacking" in said
    means = said[said.index("mean of 2 pictures") :]
    assert re.findall(r"^(bicubic|g_models|srgan_g) ", means, re.MULTILINE) == ["bicubic", "g_models", "srgan_g"]
    assert len(images(cell)) == 1
    (unpacked,) = (executed[1] / "data" / "mounted" / "data4321").iterdir()
    assert (unpacked / "original" / "models" / "g_models" / "out.w_0").is_file()


def test_openvino_computes_in_no_process_that_trains_or_draws(executed):
    assert "0 modules of openvino" in printed(executed[0].cells[-1])


def test_nothing_is_written_into_the_repository_but_what_git_ignores(executed):
    names = {path.relative_to(executed[1]).as_posix() for path in executed[1].rglob("*") if path.is_file()}
    before = subprocess.run(["git", "init", "-q"], cwd=executed[1], check=False)
    assert before.returncode == 0
    line = ["git", "ls-files", "-z", "--others", "--exclude-standard"]
    seen = subprocess.run(line, cwd=executed[1], capture_output=True, check=True).stdout.decode("utf-8").split("\0")
    new = {name for name in names if not (ROOT / name).exists()}
    assert {name for name in new & set(seen) if not name.startswith("probe")} == set()


# ------------------------------------------------------------------------------------------------------------- run.py


def test_a_setting_is_changed_and_keeps_its_comment():
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("nbclient")
    from common.errors import InputError
    from notebooks import run

    notebook = nbformat.read(ROOT / "notebooks" / "srgan.ipynb", as_version=4)
    before = next(cell for cell in notebook.cells if cell.cell_type == "code").source
    after = run.with_settings(notebook, {"QUICK": False, "PHOTO": "C:\\new\\a b.jpg"}).cells
    changed = next(cell for cell in after if cell.cell_type == "code").source
    values = {node.targets[0].id: ast.literal_eval(node.value) for node in ast.parse(changed).body}
    assert (values["QUICK"], values["PHOTO"]) == (False, "C:\\new\\a b.jpg")
    assert changed.count("#") == before.count("#")
    assert changed.count("\n") == before.count("\n")
    with pytest.raises(InputError, match="NOTHING"):
        run.with_settings(notebook, {"NOTHING": 1})


@pytest.mark.slow
def test_a_command_that_fails_stops_the_notebook():
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    from notebooks import run

    lines = [
        "from notebooks.show import run",
        "run('train/pretrain_g.py', '--data', 'no such folder', '--output', 'output/never')",
        "print('went on')",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("\n".join(lines))])
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    notebook.cells[0].source = code + notebook.cells[0].source
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="exit status 1"):
        run.execute(notebook, ROOT.parent)
    said = printed(notebook.cells[0])
    assert "no such folder does not exist" in said
    assert "went on" not in said
    shutil.rmtree(ROOT / "output" / "never", ignore_errors=True)


def test_the_stored_notebook_is_what_run_would_store():
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("nbclient")
    from notebooks import run

    notebook = nbformat.read(ROOT / "notebooks" / "srgan.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert json.loads(nbformat.writes(run.stripped(notebook))) == json.loads(
        (ROOT / "notebooks" / "srgan.ipynb").read_text(encoding="utf-8")
    )


@pytest.mark.slow
def test_the_command_executes_a_notebook_and_stores_it(tmp_path):
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    clone(tmp_path / "srgan")
    path = tmp_path / "srgan" / "notebooks" / "srgan.ipynb"
    draw = (
        "from io import BytesIO\nfrom IPython.display import Image\nfrom PIL import Image as Pictures\n"
        "file = BytesIO()\n"
        "Pictures.new('RGB', (SIDE, SIDE)).save(file, 'JPEG')\nprint('said')\nImage(file.getvalue())"
    )
    cells = [nbformat.v4.new_code_cell(text) for text in ("SIDE = 8  # pixels", draw)]
    cells[1].metadata["tags"] = ["result"]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    line = [sys.executable, "notebooks/run.py", "--set", "SIDE=24"]
    result = subprocess.run(line, cwd=path.parents[1], capture_output=True, encoding="utf-8", check=False)
    assert result.returncode == 0, result.stderr
    assert "executed in " in result.stdout
    settings, drawn = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert "".join(settings["source"]) == "SIDE = 8  # pixels"
    (output,) = drawn["outputs"]
    assert Image.open(io.BytesIO(base64.b64decode(output["data"]["image/jpeg"]))).size == (24, 24)


@pytest.mark.slow
def test_run_stores_the_two_pictures_and_no_setting(tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("nbclient")
    from notebooks import run

    copy = tmp_path / "srgan.ipynb"
    shutil.copy(ROOT / "notebooks" / "srgan.ipynb", copy)
    monkeypatch.setattr(run, "NOTEBOOK", copy)
    seen = []

    def execute(notebook, folder):
        seen.append(notebook.cells[2].source)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                picture = nbformat.v4.new_output("execute_result", {"image/jpeg": "AAAA", "text/plain": "picture"})
                cell.outputs = [nbformat.v4.new_output("stream", text="said"), picture]
                cell.execution_count = 7

    monkeypatch.setattr(run, "execute", execute)
    run.main(types.SimpleNamespace(set=[("INIT", "of mine.pdparams")]))
    assert "INIT = 'of mine.pdparams'  #" in seen[0]
    stored = json.loads(copy.read_text(encoding="utf-8"))
    assert [cell["source"] for cell in stored["cells"]] == [cell["source"] for cell in STORED["cells"]]
    outputs = [output for cell in stored["cells"] for output in cell.get("outputs", [])]
    assert [output["data"]["image/jpeg"] for output in outputs] == ["AAAA", "AAAA"]
