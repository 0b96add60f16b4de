"""`notebooks/mounted.py`: what a fake AI Studio mounts is found, and unpacked once."""

import gzip
import io
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import types
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from common.errors import InputError
from models.weight_files.weights import load_generator
from notebooks import mounted
from tests.helpers import golden
from tests.helpers.alarm import within

ROOT = Path(__file__).resolve().parents[1]
PNG = cv2.imencode(".png", np.random.RandomState(0).randint(0, 256, (12, 12, 3)).astype("uint8"))[1].tobytes()
DIV2K = {f"DIV2K_train_HR/{i:04d}.png": PNG for i in range(12)}


@pytest.fixture
def mount(tmp_path):
    """The folder that AI Studio mounts data sets in, with one empty data set."""
    (tmp_path / "mount" / "data1").mkdir(parents=True)
    return tmp_path / "mount"


@pytest.fixture
def to(tmp_path):
    return tmp_path / "unpacked"


def zipped(files: dict) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(files: dict, mode: str = "w", kinds=None) -> bytes:
    """kinds: {name: tarfile's type} of members that are no plain files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.type = (kinds or {}).get(name, tarfile.REGTYPE)
            info.size = len(content) if info.type == tarfile.REGTYPE else 0
            info.linkname = content.decode() if info.type in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def write(folder, files: dict) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def contents(folder) -> dict:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


PACKED = {
    "a.zip": zipped,
    "a.tar": tarred,
    "a.tar.gz": lambda files: tarred(files, "w:gz"),
    "A.TGZ": lambda files: tarred(files, "w:gz"),
    "a.tar.bz2": lambda files: tarred(files, "w:bz2"),
    "as tar writes a folder.tar": lambda files: tarred(
        {"./": b"", **{f"./{name}": content for name, content in files.items()}}, kinds={"./": tarfile.DIRTYPE}
    ),
    "in a zip.zip": lambda files: zipped({"inner.zip": zipped(files), "readme.txt": b""}),
    "a tar in a zip.zip": lambda files: zipped({"more/inner.tar.gz": tarred(files, "w:gz")}),
}


@pytest.mark.parametrize("name", PACKED)
def test_an_archive_is_unpacked_once(mount, to, name, capsys):
    archive = mount / "data1" / name
    archive.write_bytes(PACKED[name](DIV2K))
    found = mounted.training_pictures(mount=mount, to=to)
    assert found.name == "DIV2K_train_HR"
    assert to in found.parents
    assert contents(found.parent) == DIV2K
    first = {path: path.stat().st_mtime_ns for path in to.rglob("*")}
    assert "unpacking" in capsys.readouterr().out
    os.utime(archive, (1, 1))  # mounted again in another session
    assert mounted.training_pictures(mount=mount, to=to) == found
    assert {path: path.stat().st_mtime_ns for path in to.rglob("*")} == first
    assert "unpacking" not in capsys.readouterr().out
    assert not [path for path in first if path.suffix in (".zip", ".gz")]  # what is unpacked is not kept packed too


def test_a_changed_archive_is_unpacked_anew_and_the_old_one_goes(mount, to):
    archive = mount / "data1" / "a.zip"
    archive.write_bytes(zipped(DIV2K))
    (mount / "data1" / "a.zip.txt").write_bytes(b"")
    old = mounted.training_pictures(mount=mount, to=to)
    changed = {**DIV2K, "DIV2K_train_HR/0003.png": PNG[:-1] + b"!"}  # as long as before
    archive.write_bytes(zipped(changed))
    new = mounted.training_pictures(mount=mount, to=to)
    assert contents(new.parent) == changed
    assert not old.exists()
    assert len(list((to / "data1").iterdir())) == 1


def test_a_folder_is_taken_as_it_is_also_where_nothing_may_be_written(mount, to):
    write(mount / "data1", DIV2K)
    folder = mount / "data1" / "DIV2K_train_HR"
    for path in (folder, mount / "data1"):
        path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert mounted.training_pictures(mount=mount, to=to) == folder
    finally:
        for path in (mount / "data1", folder):
            path.chmod(stat.S_IRWXU)
    assert not to.exists()


def test_an_archive_in_a_read_only_folder_is_unpacked_elsewhere(mount, to):
    write(mount / "data1", {"a.zip": zipped(DIV2K)})
    before = contents(mount)
    (mount / "data1").chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        found = mounted.training_pictures(mount=mount, to=to)
    finally:
        (mount / "data1").chmod(stat.S_IRWXU)
    assert contents(found.parent) == DIV2K
    assert contents(mount) == before


def test_of_several_folders_div2ks_then_the_largest_that_is_no_lr_or_test(mount, to, capsys):
    many = {f"DIV2K_valid_HR/{i}.png": PNG for i in range(40)}
    low = {f"X4/LRbicx4/{i}.png": PNG for i in range(50)}
    write(mount / "data1", {"all.zip": zipped({**many, **low})})
    write(mount / "data2", {f"photos/{i}.JPG": PNG for i in range(20)})
    write(mount / "data2", {f"fewer/{i}.png": PNG for i in range(15)})
    assert mounted.training_pictures(mount=mount, to=to) == mount / "data2" / "photos"
    said = capsys.readouterr().out
    assert all(name in said for name in ("fewer", "DIV2K_valid_HR", "LRbicx4"))
    assert not to.exists()  # nothing is unpacked that is not taken
    write(mount / "data3", {"div2k.zip": zipped(DIV2K)})
    assert contents(mounted.training_pictures(mount=mount, to=to).parent) == DIV2K


def test_pictures_at_an_archives_top_are_known_by_the_archives_name(mount, to):
    write(mount, {"data1/other.zip": zipped({f"{i}.png": PNG for i in range(20)})})
    write(mount, {"data1/DIV2K_train_HR.zip": zipped({f"{i}.png": PNG for i in range(12)})})
    assert len(contents(mounted.training_pictures(mount=mount, to=to))) == 12


def test_a_few_illustrations_hidden_files_and_an_empty_mount_are_nothing(mount, tmp_path):
    write(mount / "data1", {"logo.png": PNG, "readme.md": b"", "notes.zip": zipped({"a.txt": b""})})
    write(mount / "data1", {f".decoded/{i}.png": PNG for i in range(20)})
    write(mount / "data1", {"mac.zip": zipped({f"__MACOSX/{i}.png": PNG for i in range(20)})})
    for find in (mounted.training_pictures, mounted.vgg19, mounted.g_models, mounted.benchmark):
        assert find(mount=mount, to=tmp_path / "to") is None
        assert find(mount=tmp_path / "nowhere", to=tmp_path / "to") is None
    assert not (tmp_path / "to").exists()


def test_links_are_followed_but_not_round_in_circles(mount, to, tmp_path):
    write(tmp_path / "store", DIV2K)
    (mount / "data2").symlink_to(tmp_path / "store")
    (tmp_path / "store" / "back").symlink_to(mount)
    assert mounted.training_pictures(mount=mount, to=to) == mount / "data2" / "DIV2K_train_HR"


def test_a_damaged_archive_is_named_and_another_one_taken(mount, to, capsys):
    write(mount / "data1", {"broken.zip": zipped(DIV2K)[:-30], "broken.tar": b"no archive", "good.zip": zipped(DIV2K)})
    assert contents(mounted.training_pictures(mount=mount, to=to).parent) == DIV2K
    said = capsys.readouterr().out
    assert "broken.zip is damaged" in said
    assert "broken.tar is damaged" in said


GOOD_TAR = tarred(DIV2K)
DAMAGED = {
    "cut off.zip": zipped(DIV2K)[:-30],
    "another content.zip": zipped(DIV2K).replace(PNG, PNG[:-1] + b"!", 1),
    "cut off in a file.tar": GOOD_TAR[: 512 * 7 + 100],
    "cut off between two files.tar": GOOD_TAR[: GOOD_TAR.index(b"DIV2K_train_HR/0005.png")],
    "a header lost.tar": GOOD_TAR.replace(b"DIV2K_train_HR/0005.png", b"DIV2K_train_HR/0005.jpg"),
    "cut off.tar.gz": tarred(DIV2K, "w:gz")[:-100],
    "checksum off.tar.gz": tarred(DIV2K, "w:gz")[:-8] + b"\1\2\3\4" + tarred(DIV2K, "w:gz")[-4:],
    "cut off.tar.bz2": tarred(DIV2K, "w:bz2")[:-10],
    "no archive.tar.bz2": b"BZh9 and nothing else",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_archive_that_was_named_is_an_error_and_leaves_nothing(tmp_path, to, name):
    write(tmp_path, {name: DAMAGED[name]})
    with pytest.raises(InputError) as error:
        mounted.training_pictures(named=tmp_path / name, to=to)
    assert f"{tmp_path / name} is damaged" in str(error.value)
    assert "name the folder" in str(error.value)
    assert not list(to.rglob("*.png"))


HOSTILE = {
    "out.zip": zipped({**DIV2K, "../x.png": PNG}),
    "absolute.zip": zipped({**DIV2K, "/x.png": PNG}),
    "out.tar": tarred({**DIV2K, "../x.png": PNG}),
    "absolute.tar": tarred({**DIV2K, "/x.png": PNG}),
    "link.tar": tarred({**DIV2K, "link.png": b"/etc/passwd"}, kinds={"link.png": tarfile.SYMTYPE}),
    "hard link.tar": tarred({**DIV2K, "link.png": b"/etc/passwd"}, kinds={"link.png": tarfile.LNKTYPE}),
    "device.tar": tarred({**DIV2K, "device.png": b""}, kinds={"device.png": tarfile.CHRTYPE}),
    "twice.tar": tarred({**DIV2K, "./DIV2K_train_HR/0001.png": PNG}),
    "bomb.tar.gz": tarred({**DIV2K, "zeros.png": bytes(5_000_000)}, "w:gz"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_before_anything_is_written(tmp_path, to, name):
    write(tmp_path, {name: HOSTILE[name]})
    before = contents(tmp_path)
    with pytest.raises(InputError) as error:
        mounted.training_pictures(named=tmp_path / name, to=to)
    assert str(tmp_path / name) in str(error.value)
    assert contents(tmp_path) == before


def test_a_bomb_is_found_without_going_through_it(tmp_path, to, monkeypatch):
    """A header that claims a petabyte, in a stream that goes on for ever."""
    header = tarfile.TarInfo("x.png")
    header.size = 10**15
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(10**6)))
    with pytest.raises(InputError, match="claims to unpack to 1,000,000,000,000,000"):
        mounted.training_pictures(named=tmp_path / "a.tar.gz", to=to)


def test_what_is_named_is_looked_in_and_one_picture_is_enough(tmp_path, to):
    write(tmp_path / "mine" / "deep", {"a.png": PNG})
    assert mounted.training_pictures(named=str(tmp_path / "mine"), to=to) == tmp_path / "mine" / "deep"
    write(tmp_path, {"mine.zip": zipped({"x/a.png": PNG})})
    assert contents(mounted.training_pictures(named=str(tmp_path / "mine.zip"), to=to)) == {"a.png": PNG}


@pytest.mark.parametrize("find", [mounted.training_pictures, mounted.vgg19, mounted.g_models, mounted.benchmark])
def test_what_is_named_and_of_no_use_is_an_error(tmp_path, to, find):
    with pytest.raises(InputError, match="does not exist"):
        find(named=tmp_path / "nothing", to=to)
    write(tmp_path / "texts", {"a.txt": b"", "b.zip": zipped({"c.txt": b""})})
    with pytest.raises(InputError, match="texts: no "):
        find(named=tmp_path / "texts", to=to)


def test_vgg19s_weights_in_every_shape(mount, to, tmp_path):
    write(tmp_path, {"my weights.bin": b"w"})
    assert mounted.vgg19(named=tmp_path / "my weights.bin", to=to) == tmp_path / "my weights.bin"
    write(mount / "data1", {"vgg19_spade.tar.gz": tarred({"VGG19_pretrained/vgg19_conv1_1_weights": b"1"}, "w:gz")})
    found = mounted.vgg19(mount=mount, to=to)
    assert found.name == "VGG19_pretrained"
    assert contents(found) == {"vgg19_conv1_1_weights": b"1"}
    write(mount / "data2", {"original/conv1_1_weights": b"2"})
    assert mounted.vgg19(mount=mount, to=to) == mount / "data2" / "original"
    write(mount / "data3", {"weights.zip": zipped({"legendary/VGG19_pretrained.pdparams": b"3"})})
    found = mounted.vgg19(mount=mount, to=to)
    assert (found.name, found.read_bytes()) == ("VGG19_pretrained.pdparams", b"3")
    write(mount / "data4", {"vgg19.pdparams": b"4", "resnet50.pdparams": b"5"})
    assert mounted.vgg19(mount=mount, to=to) == mount / "data4" / "vgg19.pdparams"


@pytest.mark.slow
def test_the_articles_checkpoint_is_found_and_can_be_loaded(g_models, mount, to):
    files = [path for path in g_models.rglob("*") if path.is_file()]
    variables = {path.relative_to(g_models.parent).as_posix(): path.read_bytes() for path in files}
    renamed = {name.replace("g_models/", "d_models/"): content for name, content in variables.items()}
    write(mount / "data1", {"article.zip": zipped({**renamed, **variables})})
    found = mounted.g_models(mount=mount, to=to)
    assert found.name == "g_models"
    weight = load_generator(found).state_dict()["out_conv.weight"].numpy()
    np.testing.assert_array_equal(weight, golden.weight("out.w_0", (3, 64, 1, 1)))
    assert mounted.g_models(named=g_models, to=to) == g_models


def test_the_best_benchmark_is_taken_and_its_lr_left(mount, to):
    write(mount / "data1", {f"BSD100/{i}.png": PNG for i in range(9)})
    assert mounted.benchmark(mount=mount, to=to) == mount / "data1" / "BSD100"
    write(mount / "data2", {"sets.zip": zipped({"Set5/HR/a.png": PNG, "Set5/LRbicx4/ax4.png": PNG[:-1]})})
    found = mounted.benchmark(mount=mount, to=to)
    assert found.parts[-2:] == ("Set5", "HR")
    assert contents(found) == {"a.png": PNG}
    shutil.rmtree(mount / "data2")
    write(
        mount / "data3", {f"Set5/image_SRF_4/img_{i}_SRF_4_{kind}.png": PNG for i in range(5) for kind in ("HR", "LR")}
    )
    assert mounted.benchmark(mount=mount, to=to) == mount / "data1" / "BSD100"


BSD100 = {f"{i}.png": PNG for i in range(12)}


@pytest.mark.parametrize(
    "files",
    [
        {f"BSD100/HR/{name}": PNG for name in BSD100},
        {"sets.zip": zipped({f"bsd100/{name}": PNG for name in BSD100})},
        {"Set14.tar": tarred(BSD100)},
        {"BSD100/pictures.zip": zipped(BSD100)},
        {"sets.zip": zipped({"BSD100.zip": zipped(BSD100)})},
        {"BSD100/sets.zip": zipped({"pictures.zip": zipped(BSD100)})},
    ],
)
def test_the_pictures_to_measure_on_are_trained_on_only_where_they_are_named(mount, to, files):
    write(mount / "data1", files)
    for _ in range(2):  # also once all is unpacked
        assert mounted.training_pictures(mount=mount, to=to) is None
        assert contents(mounted.benchmark(mount=mount, to=to)) == BSD100
    assert contents(mounted.training_pictures(named=mount / "data1", to=to)) == BSD100


def test_an_unrelated_faulty_archive_is_passed_over_in_one_line(mount, to, capsys):
    inner = tarred({"a.txt": b""}, "w:gz")
    write(mount / "data1", {"notes.zip": zipped({"a: note.txt": b"", "inner.tar.gz": inner})})
    write(mount / "data1", {"outer.zip": zipped({"broken.tar": b"no archive"})})
    (mount / "data1" / "gone.zip").symlink_to(mount / "nowhere")
    assert mounted.benchmark(mount=mount, to=to) is None
    said = capsys.readouterr().out.splitlines()
    assert all(line.startswith(("skipped: ", "unpacking ")) for line in said)
    assert sum(line.startswith("skipped: ") and "'a: note.txt'" in line for line in said) == 1
    assert sum(line.startswith("skipped: ") and "gone.zip" in line for line in said) == 1
    assert sum(line.startswith("skipped: ") and "broken.tar is damaged" in line for line in said) == 1
    write(mount / "data2", {"z.zip": zipped({"more.zip": zipped(DIV2K)})})
    assert contents(mounted.training_pictures(mount=mount, to=to).parent) == DIV2K
    with pytest.raises(InputError, match="'a: note.txt'"):
        mounted.benchmark(named=mount / "data1" / "notes.zip", to=to)


def test_the_next_best_is_taken_where_the_best_cannot_be_unpacked(mount, to, capsys):
    write(mount / "data1", {"a.zip": DAMAGED["another content.zip"]})
    assert mounted.training_pictures(mount=mount, to=to) is None
    write(mount / "data1", {"b.zip": zipped({f"photos/{i}.png": PNG for i in range(10)})})
    assert mounted.training_pictures(mount=mount, to=to).name == "photos"
    assert "a.zip is damaged" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("packed", [zipped(DIV2K), zipped({"inner.zip": zipped(DIV2K)})], ids=["zip", "zip in a zip"])
def test_two_processes_unpack_the_same_archive_at_once(mount, to, tmp_path, packed):
    """Each has written all files, and neither has given them their place, when both go on."""
    write(mount / "data1", {"a.zip": packed})
    code = (
        "import sys, time; from pathlib import Path; from data import archives; from notebooks import mounted\n"
        "extract, folder, name, other = archives._extract, *map(str, sys.argv[1:])\n"
        "def extract_together(opened, members, archive, *arguments):\n"
        "    extract(opened, members, archive, *arguments)\n"
        "    Path(folder, archive.name + name).touch()\n"
        "    deadline = time.monotonic() + 60\n"
        "    while not Path(folder, archive.name + other).exists() and time.monotonic() < deadline: time.sleep(0.01)\n"
        "archives._extract = extract_together\n"
        "print(mounted.training_pictures(mount=Path(folder, 'mount'), to=Path(folder, 'unpacked')))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), *names],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for names in (("1", "2"), ("2", "1"))
    ]
    said = [process.communicate(timeout=200) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    found = {out.splitlines()[-1] for out, _ in said}
    assert len(found) == 1
    assert contents(Path(found.pop()).parent) == DIV2K
    assert contents(to).keys() == {path.relative_to(to).as_posix() for path in to.rglob("DIV2K_train_HR/*.png")}
    assert len(contents(to)) == len(DIV2K)
    assert not list(to.rglob("*.unpacking"))


def test_an_archive_in_an_archive_that_another_process_has_unpacked_and_removed_meanwhile(mount, to, monkeypatch):
    write(mount / "data1", {"a.zip": zipped({"inner.zip": zipped(DIV2K)})})
    members = mounted.archives.members

    def late(archive, *arguments):
        if archive.name == "inner.zip":
            monkeypatch.setattr(mounted.archives, "members", members)
            mounted.training_pictures(mount=mount, to=to)  # the other's
        return members(archive, *arguments)

    monkeypatch.setattr(mounted.archives, "members", late)
    assert contents(mounted.training_pictures(mount=mount, to=to).parent) == DIV2K


def test_a_packed_tar_is_gone_through_once_and_not_at_all_once_it_is_unpacked(mount, to, monkeypatch):
    opened = []
    tar = mounted.archives.Tar
    monkeypatch.setattr(mounted.archives, "Tar", lambda path, *rest: opened.append(path) or tar(path, *rest))
    archive = mount / "data1" / "a.tar.gz"
    archive.write_bytes(tarred(DIV2K, "w:gz"))
    for _ in range(2):
        assert mounted.vgg19(mount=mount, to=to) is None
    assert opened == [archive]
    found = mounted.training_pictures(mount=mount, to=to)
    opened.clear()
    mounted._members.cache_clear()  # a new session
    assert mounted.training_pictures(mount=mount, to=to) == found
    assert not opened
    archive.write_bytes(tarred({"vgg19.pdparams": b"w"}, "w:gz"))
    assert mounted.vgg19(mount=mount, to=to).read_bytes() == b"w"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_is_no_archive_and_the_others_are_searched(mount, to, capsys):
    os.mkfifo(mount / "data1" / "a.zip")
    write(mount / "data1", {"b.zip": zipped(DIV2K)})
    with within():
        assert contents(mounted.training_pictures(mount=mount, to=to).parent) == DIV2K
    assert f"skipped: {mount / 'data1' / 'a.zip'} is not a file; expected a zip or tar" in capsys.readouterr().out


def test_without_room_the_notebooks_user_is_told_of_what_the_notebook_has(tmp_path, to, monkeypatch):
    write(tmp_path, {"a.zip": zipped(DIV2K)})
    monkeypatch.setattr(mounted.archives.shutil, "disk_usage", lambda folder: types.SimpleNamespace(free=0))
    with pytest.raises(InputError, match="Make room, or .*name the folder") as error:
        mounted.training_pictures(named=tmp_path / "a.zip", to=to)
    assert "--to" not in str(error.value)


@pytest.mark.parametrize("find", [mounted.training_pictures, mounted.g_models, mounted.benchmark])
@pytest.mark.parametrize("name", ["a.rar", "a.png"])
def test_a_named_file_of_another_kind_is_no_damaged_archive(tmp_path, to, find, name):
    write(tmp_path, {name: PNG})
    with pytest.raises(InputError) as error:
        find(named=tmp_path / name, to=to)
    assert "expected a folder or a zip or tar archive" in str(error.value)
    assert "damaged" not in str(error.value)
