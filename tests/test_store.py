"""The decoded pictures: decoded once, whole or not there, shared between processes, read in place."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from common.errors import InputError
from data import store
from data.pictures.reading import pixels_of
from data.store import open_pairs, open_store
from tests.helpers.alarm import within

ROOT = Path(__file__).resolve().parents[1]
COUNT = 40
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc, locks a folder")


def noise(seed, height, width):
    return np.random.RandomState(seed).randint(0, 256, (height, width, 3)).astype("uint8")


def write_png(path, rgb):
    path.write_bytes(cv2.imencode(".png", rgb[:, :, ::-1])[1].tobytes())


def make_photographs(folder, count=COUNT, height=20, width=30):
    """PNG files, each a row higher than the last, and their pixels: {path: uint8 [h,w,3]}."""
    folder.mkdir()
    pictures = {folder / f"{i:02d}.png": noise(i, height + i, width) for i in range(count)}
    for path, rgb in pictures.items():
        write_png(path, rgb)
    return pictures


@pytest.fixture
def photographs(tmp_path):
    return make_photographs(tmp_path / "照片 photos")


def folder_of(photographs):
    return next(iter(photographs)).parent


def decoded(folder):
    """{name: (inode, time)} of all that is in a store: what is decoded anew has another."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in (folder / ".decoded").iterdir()}


def as_a_process(code, *arguments, **settings):
    """A Python process that runs `code` with `store` and `Path` imported."""
    head = "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; from data import store\n"
    line = [sys.executable, "-c", head + textwrap.dedent(code), str(ROOT), *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(line, stdin=pipe, stdout=pipe, stderr=pipe, encoding="utf-8", **settings)


def test_pictures_are_kept_in_order_as_they_are(photographs):
    pictures = open_store(folder_of(photographs), 20)
    assert len(pictures) == COUNT
    assert pictures.names == [path.name for path in photographs]
    assert pictures.nbytes == sum(rgb.nbytes for rgb in photographs.values())
    for i, wanted in enumerate(photographs.values()):
        np.testing.assert_array_equal(pictures[i], wanted)


def test_a_decoded_file_is_a_npy_file_that_is_read_in_place(photographs):
    folder = folder_of(photographs)
    pictures = open_store(folder, 20)
    assert not pictures[3].flags.writeable and not pictures[3].flags.owndata
    loaded = [np.load(path) for path in pictures.folder.iterdir()]
    assert pictures.folder == folder / ".decoded" and len(loaded) == COUNT
    for found, wanted in zip(sorted(loaded, key=len), photographs.values()):
        np.testing.assert_array_equal(found, wanted)


def test_the_second_time_nothing_is_decoded(photographs, capfd):
    folder = folder_of(photographs)
    open_store(folder, 20)
    assert "decoding" in capfd.readouterr().err
    before = decoded(folder)
    pictures = open_store(folder, 20)
    assert decoded(folder) == before
    assert capfd.readouterr() == ("", "")
    np.testing.assert_array_equal(pictures[7], photographs[folder / "07.png"])


def test_only_what_was_changed_is_decoded_anew_and_what_is_left_over_goes(photographs):
    folder = folder_of(photographs)
    open_store(folder, 20)
    before = decoded(folder)
    changed, touched, removed, added = (folder / name for name in ("03.png", "08.png", "11.png", "50.png"))
    write_png(changed, noise(100, 25, 25))
    os.utime(touched, ns=(0, 0))
    removed.unlink()
    write_png(added, noise(101, 26, 26))
    (folder / ".decoded" / "mine.npy").write_bytes(b"not of the store")
    pictures = open_store(folder, 20)
    after = decoded(folder)
    assert len(before.items() & after.items()) == COUNT - 3 and len(after) == COUNT + 1
    assert "mine.npy" in after
    assert pictures.names == sorted({path.name for path in photographs} - {"11.png"} | {"50.png"})
    np.testing.assert_array_equal(pictures[3], noise(100, 25, 25))
    np.testing.assert_array_equal(pictures[pictures.names.index("50.png")], noise(101, 26, 26))
    np.testing.assert_array_equal(pictures[8], photographs[touched])


DAMAGES = {
    "short": lambda content: content[:-1],
    "long": lambda content: content + b"\0",
    "empty": lambda content: b"",
    "header only": lambda content: content[:128],
    "half a header": lambda content: content[:64],
    "another type": lambda content: content.replace(b"'|u1'", b"'|i1'"),
    "another order": lambda content: content.replace(b"False", b"True "),
    "another shape": lambda content: content.replace(b"30, 3)", b"90, 1)"),
    "no shape": lambda content: content.replace(b"30, 3)", b"30, 3 "),
    "zeros": lambda content: bytes(len(content)),
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_made_anew(photographs, damage):
    folder = folder_of(photographs)
    open_store(folder, 20)
    before = decoded(folder)
    victim = sorted((folder / ".decoded").iterdir())[5]
    content = victim.read_bytes()
    assert DAMAGES[damage](content) != content
    victim.write_bytes(DAMAGES[damage](content))
    pictures = open_store(folder, 20)
    assert victim.read_bytes() == content
    assert {name for name, state in decoded(folder).items() if state != before[name]} == {victim.name}
    for i, wanted in enumerate(photographs.values()):
        np.testing.assert_array_equal(pictures[i], wanted)


def spoil(photographs):
    paths = list(photographs)
    paths[3].write_bytes(b"not a picture")
    paths[7].write_bytes(paths[7].read_bytes()[:100])
    paths[9].unlink()
    paths[9].symlink_to("nowhere.png")
    return paths, [paths[3], paths[7], paths[9], paths[0]]  # the last is 30×20, smaller than the crop


@pytest.mark.parametrize("attempt", ["the first time", "the second time"])
def test_all_bad_pictures_are_named_in_one_message(photographs, attempt):
    paths, bad = spoil(photographs)
    folder = folder_of(photographs)
    if attempt == "the second time":
        open_store(folder, 20, skip_bad=True)
    with pytest.raises(InputError) as raised:
        open_store(folder, 21)
    message = str(raised.value)
    assert "4 of 40 pictures" in message and "--skip-bad" in message
    assert all(str(path) in message for path in bad)
    assert f"{paths[0]}: 30×20 is smaller than the 21×21 crop" in message
    assert str(paths[1]) not in message
    assert len(decoded(folder)) == 37, "what is good is there already when the others are mended"


def test_skip_bad_goes_on_without_them_and_says_so(photographs, capsys):
    paths, bad = spoil(photographs)
    pictures = open_store(folder_of(photographs), 21, skip_bad=True)
    assert len(pictures) == 36 and not {path.name for path in bad} & set(pictures.names)
    np.testing.assert_array_equal(pictures[0], photographs[paths[1]])
    printed = capsys.readouterr().out
    assert all(str(path) in printed for path in bad)


def test_skip_bad_with_none_left_is_an_error(photographs):
    with pytest.raises(InputError, match="none is left"):
        open_store(folder_of(photographs), 1000, skip_bad=True)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_pipes_and_devices_are_not_opened(photographs):
    folder, paths = folder_of(photographs), list(photographs)
    for path in paths[3:5]:
        path.unlink()
    os.mkfifo(paths[3])
    paths[4].symlink_to("/dev/zero")
    assert pixels_of(paths[0]) == 20 * 30
    with within():  # here, as in the threads of the store nothing could end it
        assert pixels_of(paths[3]) == 0
    with pytest.raises(InputError) as raised:
        open_store(folder, 20)
    assert all(f"{path} is not a file; expected a picture" in str(raised.value) for path in paths[3:5])
    assert "2 of 40 pictures" in str(raised.value) and "--skip-bad" in str(raised.value)
    assert len(open_store(folder, 20, skip_bad=True)) == 38


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_in_the_place_of_a_decoded_file_is_replaced(tmp_path):
    photographs = make_photographs(tmp_path / "photos", 1)
    folder = folder_of(photographs)
    open_store(folder, 20)
    (name,) = decoded(folder)
    (folder / ".decoded" / name).unlink()
    os.mkfifo(folder / ".decoded" / name)
    with within():
        np.testing.assert_array_equal(open_store(folder, 20)[0], *photographs.values())


@pytest.fixture
def not_to_be_written(photographs):
    """A folder without write permission for anyone, which a test as root could write all the same."""
    folder = folder_of(photographs)
    yield folder
    folder.chmod(0o755)


def test_where_the_folder_may_not_be_written_the_store_is_elsewhere(photographs, not_to_be_written, tmp_path, capsys):
    folder = not_to_be_written
    folder.chmod(0o555)
    pictures = open_store(folder, 20, tmp_path / "out" / "decoded")
    assert not (folder / ".decoded").exists()
    assert pictures.folder.parent == tmp_path / "out" / "decoded" and len(list(pictures.folder.iterdir())) == COUNT
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 1 and str(folder) in said[0] and str(pictures.folder) in said[0]
    np.testing.assert_array_equal(pictures[5], photographs[folder / "05.png"])


def test_two_folders_share_the_other_place_without_removing_each_others(photographs, not_to_be_written, tmp_path):
    other = tmp_path / "other"
    make_photographs(other, count=3)
    places = []
    for _ in range(2):
        for folder in (not_to_be_written, other):
            folder.chmod(0o555)
            places.append(open_store(folder, 20, tmp_path / "out").folder)
    other.chmod(0o755)
    assert places[:2] == places[2:] and places[0] != places[1]
    assert [len(list(place.iterdir())) for place in places[:2]] == [COUNT, 3]


def test_a_complete_store_is_used_where_nothing_may_be_written_any_more(
    photographs, not_to_be_written, tmp_path, capsys
):
    open_store(not_to_be_written, 20)
    not_to_be_written.chmod(0o555)
    pictures = open_store(not_to_be_written, 20, tmp_path / "out")
    assert pictures.folder == not_to_be_written / ".decoded" and not (tmp_path / "out").exists()
    assert capsys.readouterr().out == ""


def test_something_in_the_stores_place_and_nothing_to_write_to_instead(photographs, tmp_path):
    (folder_of(photographs) / ".decoded").write_text("mine")
    place = open_store(folder_of(photographs), 20, tmp_path / "out").folder
    assert place.parent == tmp_path / "out"
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="is not writable .*file.* cannot be used instead"):
        open_store(folder_of(photographs), 20, tmp_path / "file")
    assert (folder_of(photographs) / ".decoded").read_text() == "mine"


def test_a_full_disk_is_an_error_that_names_the_folder_and_keeps_what_is_there(photographs):
    # A limit on the size of files stands in for the disk: the kernel refuses the write just so.
    folder = folder_of(photographs)
    write_png(folder / "00.png", noise(0, 100, 100))
    code = """
        import resource
        folder, limit = Path(sys.argv[2]), int(sys.argv[3])
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        store.open_store(folder, 20)
    """
    open_store(folder, 20)
    before = decoded(folder)
    write_png(folder / "01.png", noise(1, 100, 100))
    process = as_a_process(code, folder, 20000)
    _, error = process.communicate(timeout=100)
    assert process.returncode == 1
    assert "OSError" in error and "3 bytes a pixel, cannot be written (File too large)" in error
    assert f"'{folder / '.decoded'}'" in error
    after = decoded(folder)
    assert len(after) == COUNT - 1 and after.items() <= before.items(), "the changed picture's alone is gone"


def whole_files(place):
    """The store's files, each of which NumPy must be able to read."""
    names = [path.name for path in place.iterdir() if not path.name.startswith(".")]
    for name in names:
        assert np.load(place / name).ndim == 3
    return names


@pytest.mark.slow
@linux
def test_a_build_that_is_killed_goes_on_where_it_was(tmp_path):
    # Three megabytes each: killed at these moments, some are decoded, some half written.
    photographs = make_photographs(tmp_path / "photos", count=24, height=1000, width=1000)
    folder = tmp_path / "photos"
    for enough in (1, 4, 8):
        process = as_a_process("store.open_store(sys.argv[2], 20)", folder, start_new_session=True)
        while process.poll() is None and len(list((folder / ".decoded").glob("[!.]*"))) < enough:
            time.sleep(0.002)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert enough <= len(whole_files(folder / ".decoded")) < 24
    (folder / ".decoded" / ".123-0123abcd.npy").write_bytes(b"half")
    before = decoded(folder)
    pictures = open_store(folder, 20)
    after = decoded(folder)
    assert len(after) == 24 and not [name for name in after if name.startswith(".")]
    assert {name: state for name, state in before.items() if not name.startswith(".")}.items() <= after.items()
    for i, wanted in enumerate(photographs.values()):
        np.testing.assert_array_equal(pictures[i], wanted)


@pytest.mark.slow
@linux
def test_processes_that_build_at_once_all_get_every_picture(tmp_path):
    photographs = make_photographs(tmp_path / "photos", height=200, width=200)
    code = """
        import hashlib
        sys.stdin.readline()
        pictures = store.open_store(sys.argv[2], 20)
        print(*[hashlib.md5(picture.tobytes()).hexdigest() for picture in pictures])
    """
    for _ in range(2):  # the second time they find it complete
        processes = [as_a_process(code, tmp_path / "photos") for _ in range(3)]
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        answers = [process.communicate(timeout=100) for process in processes]
        assert [process.returncode for process in processes] == [0, 0, 0], answers
        assert len({answer[0] for answer in answers}) == 1
        assert len(decoded(tmp_path / "photos")) == COUNT
    pictures = open_store(tmp_path / "photos", 20)
    for i, wanted in enumerate(photographs.values()):
        np.testing.assert_array_equal(pictures[i], wanted)


@linux
def test_nothing_is_removed_while_another_process_has_the_store_open(photographs):
    folder = folder_of(photographs)
    process = as_a_process(
        "pictures = store.open_store(sys.argv[2], 20); print(len(pictures), flush=True); sys.stdin.readline()", folder
    )
    assert process.stdout.readline() == f"{COUNT}\n"
    os.utime(folder / "03.png", ns=(0, 0))
    temporary = folder / ".decoded" / f".{process.pid}-0123abcd.npy"
    temporary.write_bytes(b"half")
    open_store(folder, 20)
    assert len(decoded(folder)) == COUNT + 2 and temporary.exists(), "the file from before the change is in use"
    process.communicate("end\n")
    open_store(folder, 20)
    assert len(decoded(folder)) == COUNT and not temporary.exists()


def open_files():
    return len(os.listdir("/proc/self/fd"))


@linux
def test_few_pictures_are_mapped_at_once_and_a_view_stays_valid(photographs, monkeypatch):
    monkeypatch.setattr(store, "MAPPED", 5)
    pictures = open_store(folder_of(photographs), 20)
    before = open_files()
    held = pictures[0]
    for i, wanted in enumerate(photographs.values()):
        np.testing.assert_array_equal(pictures[i], wanted)
    assert pictures[0] is not held, "it was mapped anew"
    assert pictures[0] is pictures[0], "what was used last stays mapped"
    assert open_files() <= before + 6
    np.testing.assert_array_equal(held, photographs[folder_of(photographs) / "00.png"])


def test_what_was_used_longest_ago_goes_first(photographs, monkeypatch):
    monkeypatch.setattr(store, "MAPPED", 3)
    pictures = open_store(folder_of(photographs), 20)
    first, second, _ = (pictures[i] for i in range(3))
    assert pictures[0] is first
    pictures[3]
    assert pictures[0] is first and pictures[1] is not second


@pytest.mark.slow
@linux
def test_memory_does_not_grow_with_the_pictures(tmp_path):
    # 60 MB of pictures, 8 of them mapped at once.
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(60):
        write_png(folder / f"{i}.png", np.full((580 + i, 580, 3), i, "uint8"))
    code = """
        import psutil
        store.MAPPED_BYTES = 8 * 2**20
        pictures = store.open_store(sys.argv[2], 20)
        before = psutil.Process().memory_info().rss
        total = sum(int(picture[0, 0, 0]) + int(picture.max()) for _ in range(2) for picture in pictures)
        print(total, pictures.nbytes, psutil.Process().memory_info().rss - before)
    """
    answer, error = as_a_process(code, folder).communicate(timeout=100)
    assert error.count("Error") == 0, error
    total, size, grown = map(int, answer.split())
    assert total == 4 * sum(range(60)) and size > 60_000_000
    assert grown < 20_000_000


def test_threads_may_read_at_once(photographs, monkeypatch):
    monkeypatch.setattr(store, "MAPPED_BYTES", 10_000)  # three or four pictures
    pictures = open_store(folder_of(photographs), 20)
    wanted = list(photographs.values())

    def wrong(seed):
        order = np.random.RandomState(seed).randint(0, COUNT, 500)
        return sum(not np.array_equal(pictures[int(i)], wanted[i]) for i in order)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(wrong, range(4))) == [0, 0, 0, 0]


def test_threads_that_want_the_same_picture_map_it_once(photographs, monkeypatch):
    pictures = open_store(folder_of(photographs), 20)
    mapped = []
    original = pictures._map
    monkeypatch.setattr(pictures, "_map", lambda i: time.sleep(0.05) or mapped.append(i) or original(i))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(pictures.__getitem__, [7] * 4))
    assert mapped == [7] and all(picture is found[0] for picture in found)


@pytest.mark.parametrize("damage", ["removed", "cut", "empty"])
def test_a_file_that_goes_away_while_it_is_in_use_is_named(photographs, damage):
    folder = folder_of(photographs)
    pictures = open_store(folder, 20)
    for path in pictures.folder.iterdir():
        if damage == "removed":
            path.unlink()
        else:
            os.truncate(path, 300 if damage == "cut" else 0)
    with pytest.raises(InputError, match=r"\.npy, decoded from 04\.png, was removed or changed: run the command again"):
        pictures[4]


# -------------------------------------------------------------------------------------------------------------- pairs


@pytest.fixture
def paired(tmp_path):
    """{HR path: its LR path} of five pictures that belong together, and their folders; LR is called in several ways."""
    names = {
        "a.png": "a.png",
        "b.png": "bx4.png",
        "c_HR.png": "c_LR.png",
        "d.png": "d_x4.png",
        "照片 e.png": "照片 e.png",
    }
    for folder in ("hr", "lr"):
        (tmp_path / folder).mkdir()
    for i, (hr, lr) in enumerate(names.items()):
        write_png(tmp_path / "hr" / hr, noise(i, 40 + i, 51 - i))  # few are multiples of 4
        write_png(tmp_path / "lr" / lr, noise(100 + i, (40 + i) // 4, (51 - i) // 4))
    return {tmp_path / "hr" / hr: tmp_path / "lr" / lr for hr, lr in names.items()}


def open_both(paired, hr_size=24, **settings):
    hr_path, lr_path = next(iter(paired.items()))
    return open_pairs(hr_path.parent, lr_path.parent, hr_size, **settings)


def test_pairs_are_in_the_same_order_whatever_they_are_called(paired, tmp_path, capsys):
    write_png(tmp_path / "lr" / "aa.png", noise(9, 10, 10))
    hr, lr = open_both(paired)
    assert hr.sources == list(paired) and lr.sources == list(paired.values())
    assert lr.names[1] == "bx4.png" and len(hr) == len(lr) == 5
    for i in range(5):
        np.testing.assert_array_equal(hr[i], noise(i, 40 + i, 51 - i))
        np.testing.assert_array_equal(lr[i], noise(100 + i, (40 + i) // 4, (51 - i) // 4))
    assert "LR pictures without HR, skipped: aa.png" in capsys.readouterr().err
    assert hr.folder == tmp_path / "hr" / ".decoded" and lr.folder == tmp_path / "lr" / ".decoded"
    assert len(decoded(tmp_path / "lr")) == 5, "what belongs to none is not decoded"


def test_pairs_are_decoded_once(paired, tmp_path):
    open_both(paired)
    before = decoded(tmp_path / "hr"), decoded(tmp_path / "lr")
    open_both(paired)
    assert (decoded(tmp_path / "hr"), decoded(tmp_path / "lr")) == before


def spoil_pairs(paired):
    """Each pair but the last in another way; what is to be said of them."""
    (a, b, c, d, _), (lr_a, lr_b, _, lr_d, _) = paired.keys(), paired.values()
    lr_a.unlink()
    write_png(lr_b, noise(3, 10, 11))
    c.write_bytes(b"not a picture")
    lr_d.write_bytes(lr_d.read_bytes()[:60])
    return {
        a: f"{lr_a.parent} lacks the LR picture of {a}: expected a.png or ax4.png, 12x10 pixels",
        b: f"{lr_b} has 11x10 pixels; expected 12x10, a quarter of {b}",
        c: f"{c} cannot be read as a picture",
        d: f"{lr_d} cannot be read as a picture",
    }


def test_all_that_does_not_match_is_named_at_once(paired):
    reasons = spoil_pairs(paired)
    with pytest.raises(InputError) as raised:
        open_both(paired)
    lines = str(raised.value).splitlines()
    assert lines[0] == "4 of 5 pictures cannot be used:" and "--skip-bad" in lines[-1] and len(lines) == 6
    for line, reason in zip(lines[1:], reasons.values()):
        assert line.strip().startswith(reason)


def test_of_one_pair_all_that_is_wrong_is_named(paired):
    hr_path, lr_path = next(iter(paired.items()))
    write_png(hr_path, noise(1, 20, 30))
    with pytest.raises(InputError) as raised:
        open_both(paired)
    assert "1 of 5" in str(raised.value)
    assert f"{hr_path}: 30×20 is smaller than the 24×24 crop" in str(raised.value)
    assert f"{lr_path} has 12x10 pixels; expected 7x5" in str(raised.value)


def test_pairs_that_cannot_be_used_are_left_out_as_pairs(paired, capsys):
    reasons = spoil_pairs(paired)
    hr, lr = open_both(paired, skip_bad=True)
    last = list(paired)[-1]
    assert hr.sources == [last] and lr.sources == [paired[last]]
    printed = capsys.readouterr().out
    assert all(reason in printed for reason in reasons.values())


def test_without_any_lr_none_is_left(paired, tmp_path):
    for path in paired.values():
        path.unlink()
    write_png(tmp_path / "lr" / "another.png", noise(9, 10, 10))
    (tmp_path / "lr").chmod(0o555)
    try:
        with pytest.raises(InputError, match="5 of 5 .*(?s:.)*none is left"):
            open_both(paired, skip_bad=True, fallback=tmp_path / "decoded")
    finally:
        (tmp_path / "lr").chmod(0o755)


def test_a_folder_is_not_its_own_lr(paired, tmp_path):
    with pytest.raises(InputError, match=r"5 of 5(?s:.)*a.png has 51x40 pixels; expected 12x10"):
        open_pairs(tmp_path / "hr", tmp_path / "hr", 24)
