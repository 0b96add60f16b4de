"""`benchmarks/data_pipeline.py`: what each way makes, and the tables; no time is asserted."""

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from benchmarks import data_pipeline
from tests.helpers.crops import coordinates, made

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "benchmarks" / "data_pipeline.py"
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """A folder of four PNG files as large as the largest crop and a little more."""
    folder = tmp_path_factory.mktemp("photographs")
    for i in range(4):
        rgb = np.random.RandomState(i).randint(0, 256, (390 + i, 400, 3)).astype("uint8")
        cv2.imwrite(str(folder / f"{i}.png"), rgb[:, :, ::-1])
    return folder


def run(*arguments):
    line = [sys.executable, SCRIPT, *arguments]
    return subprocess.run(line, capture_output=True, encoding="utf-8", check=False, timeout=500)


@pytest.mark.slow
@linux
def test_it_prints_every_way_for_every_kind_of_crop(photographs):
    done = run("--data", photographs, "--crops-per-image", "2", "--batch-size", "4", "--repeats", "1")
    assert done.returncode == 0, done.stderr
    assert "4 pictures, 2 crops of each an epoch, in batches of 4" in done.stdout
    tables = dict(re.findall(r"^### (.+)\n\n((?:\|.*\n)+)", done.stdout + "\n", re.MULTILINE))
    *kinds, waiting = tables
    assert kinds == [data_pipeline.name_of(setting) for setting in data_pipeline.SETTINGS]
    for kind in kinds:
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in tables[kind].splitlines()[2:]]
        assert [row[0] for row in rows] == [
            "limit",
            *(f"this project, workers: {workers}" for workers in (0, 1, 2)),
            *(["article", "article, 224 for VGG19 too"] if "bilinear" in kind else []),
            "a file a crop",
        ]
        for row in rows:
            assert float(row[1]) * float(row[3].replace(",", "")) == pytest.approx(1000, rel=0.02)
    assert tables[waiting].count("\n") == 2 + len(kinds)


def test_the_ratios_are_of_the_medians():
    seconds = {
        "limit": [0.2, 0.1, 9.0],
        "this project, workers: 0": [0.4, 0.4, 0.3],
        "article": [4.0, 8.0, 6.0],
        "a file a crop": [40.0, 60.0, 50.0],
    }
    lines = data_pipeline.throughput(seconds, count=100).splitlines()[2:]
    assert lines == [
        "| limit | 2.0000 | 1.0000 | 500 | 250.0 | 30.0 | 1.00 |",
        "| this project, workers: 0 | 4.0000 | 3.0000 | 250 | 125.0 | 15.0 | 2.00 |",
        "| article | 60.0000 | 40.0000 | 17 | 8.3 | 1.0 | 30.00 |",
        "| a file a crop | 500.0000 | 400.0000 | 2 | 1.0 | 0.1 | 250.00 |",
    ]


def is_window(hr, pictures):
    """Whether uint8 [s,s,3] is a window of the picture that its blue names, at the place its first pixel names."""
    top, left, picture = hr[0, 0].astype(int)
    return np.array_equal(hr, pictures[picture][top : top + len(hr), left : left + len(hr)])


def levels(batch):
    return np.round((batch + 1) * 127.5).astype("uint8")


def test_the_articles_way_makes_its_batches():
    pictures = [coordinates(40, 50, blue) for blue in range(6)]
    for with_vgg19 in (False, True):
        batches = list(data_pipeline.article(list(pictures), 24, 2, 3, with_vgg19))
        assert len(batches) == 2
        for hr, lr, *rest in batches:
            assert hr.dtype == lr.dtype == np.float32 and hr.shape == (3, 24, 24, 3) and lr.shape == (3, 6, 6, 3)
            assert [part.shape for part in rest] == ([(3, 224, 224, 3)] if with_vgg19 else [])
            for one_hr, one_lr in zip(levels(hr), levels(lr)):
                assert is_window(one_hr, pictures)
                np.testing.assert_array_equal(one_lr, cv2.resize(one_hr, (6, 6)))


@pytest.mark.parametrize("degradation", ["bilinear", "bicubic", "photo"])
def test_a_file_a_crop_makes_the_same_from_files(degradation, tmp_path):
    pictures = [coordinates(40, 50, blue) for blue in range(4)]
    paths = [tmp_path / f"{i}.png" for i in range(4)]
    for path, rgb in zip(paths, pictures):
        cv2.imwrite(str(path), rgb[:, :, ::-1])
    drawn = set()
    for lr, hr in data_pipeline.a_file_a_crop(paths, 24, degradation, 2, 2):
        assert hr.dtype == lr.dtype == np.float32 and hr.shape == (2, 3, 24, 24) and lr.shape == (2, 3, 6, 6)
        for one_hr, one_lr in zip(levels(hr).transpose(0, 2, 3, 1), levels(lr).transpose(0, 2, 3, 1)):
            assert is_window(one_hr, pictures)
            drawn.add(one_hr[0, 0, 2])
            difference = one_lr.astype(int) - cv2.resize(one_hr, (6, 6))
            # They agree on a ramp's inside; photo's noise has 5 levels on the average, and its JPEG loses some.
            assert np.abs(difference).max() <= {"bilinear": 0, "bicubic": 1, "photo": 60}[degradation]
    assert drawn == set(range(4)), "every file once"


def test_the_limit_copies_as_many_crops_as_an_epoch_has(monkeypatch):
    copied = []
    monkeypatch.setattr(data_pipeline.np, "copyto", lambda target, source: copied.append((target, source.copy())))
    crops = made(sizes=((40, 50),) * 5, crops_per_image=3)
    assert data_pipeline.limit(crops, batch_size=4) > 0
    assert len(copied) == 12 and all(target.shape == (24, 24, 3) for target, _ in copied)
    assert all(is_window(source, crops.pictures) for _, source in copied)
    assert len({tuple(source[0, 0, :2]) for _, source in copied}) > 6


def test_waiting_is_the_time_in_next_alone(monkeypatch):
    # A clock that goes on by 1000 for each step of the accelerator and by 7 for each batch.
    clock = SimpleNamespace(now=0)
    step = SimpleNamespace(
        sleep=lambda seconds: setattr(clock, "now", clock.now + 1000), perf_counter=lambda: clock.now
    )

    def batches(*_):
        for _ in range(5):
            clock.now += 7
            yield ()

    monkeypatch.setattr(data_pipeline, "time", step)
    crops = SimpleNamespace(batches=batches, steps=lambda batch_size: 5)
    assert data_pipeline.waited(crops, 0, 1, 0) == 4 * 7


@pytest.mark.slow
@linux
def test_the_memory_is_that_of_a_process_that_decodes_and_crops(photographs, tmp_path, monkeypatch):
    monkeypatch.setattr(data_pipeline, "DIV2K_PICTURES", 30)
    monkeypatch.setattr(data_pipeline, "DIV2K_HEIGHT", 1000)
    monkeypatch.setattr(data_pipeline, "DIV2K_WIDTH", 700)
    text = data_pipeline.memory(sorted(photographs.glob("*.png")), tmp_path, 4)
    first, second = ([cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[2:])
    assert [first[0], second[0]] == ["decoded now", "decoded before"]
    assert first[1] == second[1] == "63"
    assert len(list((tmp_path / ".decoded").iterdir())) == 30
    for _, _, before, opened, all_of_it in (first, second):
        assert float(before) > 20 and float(opened) <= float(all_of_it) < 300


@pytest.mark.slow
def test_too_small_pictures_are_named(tmp_path):
    cv2.imwrite(str(tmp_path / "small.png"), np.zeros((383, 500, 3), "uint8"))
    done = run("--data", tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"{tmp_path / 'small.png'}: 500×383 is smaller than the 384×384 crop" in done.stderr
