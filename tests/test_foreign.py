"""What people give for weights: each file and folder is called what it is, with the way out."""

import gzip
import io
import pickle
import zipfile

import numpy as np
import pytest

from models.weight_files.vgg19_weights import load_vgg19
from models.weight_files.weights import load_discriminator, load_generator, read_pdparams
from tests.helpers.errors import message
from tests.helpers.fluid_files import variable, write_folder
from train.run import checkpoint


def zip_of(names) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, bytes(5000))
    return content.getvalue()


LFS = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)
FILES = {  # {file: what the message must say}
    "PyTorch, zip": (zip_of(["archive/data.pkl", "archive/data/0", "archive/version"]), ["PyTorch", ".pdparams"]),
    "PyTorch, before 1.6": (pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2), ["PyTorch", ".pdparams"]),
    "a page": (b"\n<!DOCTYPE html>\n<html><head>", ["web page", "Download the file itself"]),
    "a Git LFS pointer": (LFS, ["Git LFS pointer", "git lfs pull"]),
    "nothing": (b"", ["empty file", "Fetch it again"]),
    "a zip": (zip_of(["srgan_g.pdparams"]), ["zip archive", "unpack it"]),
    "gzip": (gzip.compress(b"x"), ["gzip", "unpack it"]),
    "a PNG": (b"\x89PNG\r\n\x1a\n" + bytes(99), ["not a weight file", ".pdparams"]),
    "notes": ("重み: – see the page\n".encode(), ["not a weight file", ".pdparams"]),
    "a fluid variable": (variable(np.ones(3, "float32")), ["fluid", "folder"]),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_is_called_what_it_is(tmp_path, kind):
    content, expected = FILES[kind]
    path = tmp_path / "weights.pdparams"
    path.write_bytes(content)
    said = message(read_pdparams, path)
    assert said.startswith(f"{path}: it is ")
    assert all(text in said for text in expected), said
    assert not any(text in said for text in ("Error", "pickle", "damaged")), said
    assert message(load_generator, path) == message(load_discriminator, path) == message(load_vgg19, path) == said


def test_a_checkpoint(tmp_path):
    path = checkpoint.path_of(tmp_path, 3, 0)
    checkpoint.save(path, {f"generator/{i}.weight": np.zeros((64, 64), "float32") for i in range(50)}, {"x": 1})
    said = message(load_generator, path)
    assert (
        said.startswith(f"{path}: it is a NumPy archive, such as a checkpoint of a training run")
        and "srgan_g.pdparams" in said
    )


def test_the_output_folder_of_a_run(tmp_path):
    (tmp_path / "checkpoints" / "pretrain_g").mkdir(parents=True)
    (tmp_path / "log.csv").write_text("epoch")
    assert "--resume" in message(load_generator, tmp_path)
    for name in ("pretrain_g.pdparams", "srgan_d.pdparams", "srgan_g.pdparams"):
        (tmp_path / name).write_bytes(b"x")
    assert message(load_generator, tmp_path).endswith(f"give the file in it, {tmp_path / 'srgan_g.pdparams'}")
    assert message(load_discriminator, tmp_path).endswith(f"give the file in it, {tmp_path / 'srgan_d.pdparams'}")
    checkpoint.save(checkpoint.path_of(tmp_path / "c", 1, 0), {"x": np.zeros(1)}, {})
    assert "holds the checkpoints of a training run" in message(load_generator, tmp_path / "c")


def test_a_folder_of_the_article_with_something_of_a_run_in_it_is_still_read(tmp_path):
    folder = write_folder(tmp_path / "models", {"n64s1/c.w_0": np.ones((64, 3, 3, 3), "float32")})
    (folder / "notes.pdparams").write_bytes(b"x")
    assert "n64s1/c.b_0: expected shape [64], not found" in message(load_generator, folder)
