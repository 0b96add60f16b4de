"""`evaluate`: what it measures, by methods whose figures are known; and the command as a user runs it."""

import csv
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib import pyplot as plt
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from common.errors import InputError
from data import lpips
from data.hr_lr_pairs import pairs, sr_files
from data.imresize import enlarge
from infer import Upscaler, evaluate
from infer.generator_flags import labels
from infer.measuring import measure, plots
from models.weight_files import weights
from tests.helpers import generators, matlab
from tests.helpers.lpips_weights import random_weights
from tests.helpers.pictures import write_with_opencv

NAMES = ["a.png", "照片 c.png"]


def photograph(seed, height=43, width=None):
    width = width or 50 + 4 * seed
    small = np.random.default_rng(seed).integers(0, 256, (height // 6, width // 6, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def hr_folder(tmp_path):
    """Pictures whose sides are no multiples of 4."""
    folder = tmp_path / "hr"
    folder.mkdir()
    for seed, name in enumerate(NAMES):
        write_with_opencv(folder / name, photograph(seed))
    return folder


def nearest(lr):
    return lr.repeat(4, axis=0).repeat(4, axis=1)


def measured(folder, methods, lr_folder=None, **settings):
    return list(measure.measure(pairs(folder, lr_folder), methods, **settings))


def by_skimage(sr, hr):
    """PSNR-Y, SSIM-Y and PSNR-RGB by scikit-image alone, without 4 pixels along each border."""
    sr, hr = sr[4:-4, 4:-4], hr[4:-4, 4:-4]
    lumas = [np.floor(16 + rgb.astype(float) @ np.array([65.481, 128.553, 24.966]) / 255 + 0.5) for rgb in (sr, hr)]
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    ssim = structural_similarity(*lumas, **settings)
    return peak_signal_noise_ratio(*lumas, data_range=255), ssim, peak_signal_noise_ratio(hr, sr)


class TestMeasure:
    def test_figures_are_skimages_and_lpips_is_of_the_whole_pictures(self, hr_folder, tmp_path):
        """LPIPS's place is taken by a function that counts the pixels that differ."""
        lr_folder = tmp_path / "lr"
        lr_folder.mkdir()
        lrs = [matlab.noise(10, width) for width in (12, 13)]
        for name, lr in zip(NAMES, lrs):
            write_with_opencv(lr_folder / name, lr)
        settings = {"distance": lambda sr, hr: float((sr != hr).any(axis=2).sum())}
        results = measured(hr_folder, {"bicubic": enlarge, "nearest": nearest}, lr_folder, **settings)
        for (result, lr, hr, srs), expected_lr, name in zip(results, lrs, NAMES):
            np.testing.assert_array_equal(lr, expected_lr)
            assert result["name"] == name
            for label, sr in srs.items():
                figures = result["methods"][label]
                assert (figures["psnr_y"], figures["ssim_y"], figures["psnr_rgb"]) == pytest.approx(by_skimage(sr, hr))
                assert figures["lpips"] == np.abs(sr.astype(int) - hr).any(axis=2).sum()

    def test_ready_made_pictures_have_the_figures_of_their_pixels_and_no_seconds(self, hr_folder, tmp_path):
        (tmp_path / "theirs").mkdir()
        for (*_, srs), name in zip(measured(hr_folder, {"x": nearest}), ("ax4.png", "照片 c.bmp")):
            # One more row and column, as of a program that enlarges the uncut picture.
            write_with_opencv(tmp_path / "theirs" / name, np.pad(srs["x"], ((0, 3), (0, 1), (0, 0))))
        files = sr_files([hr_path for hr_path, _ in pairs(hr_folder)], tmp_path / "theirs")
        for result, _, _, srs in measured(hr_folder, {"x": nearest}, ready={"theirs": files}):
            theirs, x = result["methods"]["theirs"], result["methods"]["x"]
            assert theirs == {key: value for key, value in x.items() if key not in ("seconds", "mp_per_s")}
            np.testing.assert_array_equal(srs["theirs"], srs["x"])


def result(name, width, height, **methods):
    keys = ("psnr_y", "ssim_y", "psnr_rgb", "seconds", "mp_per_s")
    figures = {label: dict(zip(keys, row)) for label, row in methods.items()}
    return {"name": name, "width": width, "height": height, "methods": figures}


RESULTS = [
    result("a.png", 1000, 500, bicubic=(30.0, 0.8, 28.0, 0.01, 50.0), net=(31.0, 0.85, 29.0, 0.5, 1.0)),
    result("b, c.png", 1000, 1000, bicubic=(20.0, 0.5, 18.0, 0.04, 25.0), net=(math.inf, 1.0, math.inf, 1.5, 2 / 3)),
]


def test_csv_and_means(tmp_path):
    measure.write_csv(tmp_path / "new" / "figures.csv", RESULTS)
    with open(tmp_path / "new" / "figures.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["picture"], row["method"]) for row in rows] == [
        (picture, method) for picture in ("a.png", "b, c.png", "mean") for method in ("bicubic", "net")
    ]
    assert [float(row["psnr_y"]) for row in rows] == [30, 31, 20, math.inf, 25, math.inf]
    assert list(rows[0])[2:] == ["psnr_y", "ssim_y", "psnr_rgb", "seconds", "mp_per_s"]
    assert [float(row["mp_per_s"]) for row in rows[-2:]] == [30, 0.75], "all megapixels in all seconds"


def test_published_figures_of_the_usual_sets(tmp_path):
    for folder, srgan in (("Set5", 29.40), ("SET14/HR", 26.02), ("x/bsd100/image_SRF_4", 25.16)):
        assert measure.paper_figures(tmp_path / folder)["SRGAN (paper)"]["psnr_y"] == srgan
    assert measure.paper_figures("SET14", with_lpips=True)["SRGAN (SPSR)"] == {"lpips": 0.1663, "psnr_y": 26.17}
    assert measure.paper_figures("Set50") == {}


def test_labels_are_short_and_tell_apart():
    for expected, paths in {
        ("g_models", "pretrain_g"): ["models/g_models", "output/pretrain_g.pdparams"],
        ("x/run/g", "y/run/g", "p"): ["x/run/g.pdparams", "y/run/g.pdparams", "z/p.pdparams"],
        ("g", "g.pdparams"): ["out/g", "out/g.pdparams"],
        ("out/bicubic",): ["out/bicubic.pdparams"],
    }.items():
        assert labels(paths) == dict(zip(expected, paths))


class TestPlots:
    def test_the_detail_is_where_the_picture_has_most(self):
        hr = np.full((120, 180, 3), 90, np.uint8)
        hr[:60] = 255  # an edge, but a lesser detail than the noise
        hr[70:90, 130:150] = matlab.noise(20, 20)
        assert plots.detail(hr) == (70, 130, 20)

    @pytest.mark.filterwarnings("ignore:Glyph")
    def test_panels(self, hr_folder):
        shown = measured(hr_folder, {"bicubic": enlarge, "run/net": nearest})
        figure = plots.draw_comparison(shown)
        for row, (result, lr, hr, srs) in zip(np.array(figure.axes).reshape(2, 5), shown):
            top, left, side = plots.detail(hr)
            inside = (slice(top, top + side), slice(left, left + side))
            small = lr[top // 4 : (top + side + 3) // 4, left // 4 : (left + side + 3) // 4]
            pictures = [hr, small, srs["bicubic"][inside], srs["run/net"][inside], hr[inside]]
            for axis, picture in zip(row, pictures):
                np.testing.assert_array_equal(axis.images[0].get_array(), picture)
            assert row[0].patches[0].get_bbox().bounds == (left - 0.5, top - 0.5, side, side)
            figures = result["methods"]["bicubic"]
            texts = [axis.get_xlabel() for axis in row]
            assert texts[0] == result["name"] and texts[4] == "HR" and texts[3].startswith("run/\nnet\n")
            assert texts[2] == f"bicubic\n{figures['psnr_y']:.2f} dB / {figures['ssim_y']:.4f}"
        plt.close(figure)


def run(*arguments):
    evaluate.main(evaluate.parser().parse_args(list(map(str, arguments))))


def rows_of(file, picture="mean") -> dict:
    """{method: its row as numbers} of one picture in a file of --csv."""
    with open(file, encoding="utf-8", newline="") as opened:
        rows = [row for row in csv.DictReader(opened) if row.pop("picture") == picture]
    return {row.pop("method"): {key: float(value) for key, value in row.items() if value} for row in rows}


class TestCommand:
    @pytest.mark.slow
    def test_figures_of_a_real_network(self, hr_folder, g_models, tmp_path, capsys):
        file, figure = tmp_path / "out/f.csv", tmp_path / "out/f.png"
        flags = ["--csv", file, "--figure", figure, "--pictures", "照片 c", "--device", "cpu", "--lpips", "off"]
        run("--hr", hr_folder, "--weights", g_models, *flags)
        lines = capsys.readouterr().out.splitlines()
        assert "precision fp32, device cpu; LR made from hr, bicubic" in lines[0]
        assert [line.split()[0] for line in lines[1:] if line] == [
            *["a.png,", "method", "bicubic", "g_models"],
            *["照片", "method", "bicubic", "g_models"],
            *["mean", "method", "bicubic", "g_models"],
        ]
        hr = photograph(1)[:40, :52]
        sr = Upscaler(g_models, precision="fp32", device="cpu")(matlab.imresize(hr, 10, 13))
        figures = rows_of(file, NAMES[1])["g_models"]
        expected = by_skimage(sr, hr)
        assert (figures["psnr_y"], figures["ssim_y"], figures["psnr_rgb"]) == pytest.approx(expected, rel=1e-3)
        assert figures["seconds"] > 0
        assert cv2.imread(str(figure)).shape[1] > 1000

    def test_ready_made_pictures_and_lpips(self, hr_folder, tmp_path, capsys, monkeypatch):
        """Equal pictures have the best figures there are; neither weights nor an engine are needed for them."""
        lpips.write(tmp_path / "lpips.npz", random_weights())
        run("--hr", hr_folder, "--sr", hr_folder, "--lpips", tmp_path / "lpips.npz")
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "LR made from hr, bicubic"
        assert lines[-3].split() == ["method", "PSNR-Y", "SSIM-Y", "LPIPS", "PSNR-RGB", "grid", "seconds", "MP/s"]
        assert lines[-1].split()[:5] == ["hr", "inf", "1.0000", "0.0000", "inf"]
        monkeypatch.chdir(tmp_path)  # where there are no weights of LPIPS
        run("--hr", hr_folder, "--sr", hr_folder)
        printed = capsys.readouterr()
        assert "LPIPS" not in printed.out
        assert "weights/lpips_alex.npz is missing; get it with: python data/download.py lpips" in printed.err

    @pytest.mark.slow
    def test_the_ends_of_a_tradeoff_are_the_two_generators(self, hr_folder, tmp_path, monkeypatch):
        """Two generators of different contrast; the mixtures of a share of 0 and 1 are each of them alone."""
        monkeypatch.setattr(evaluate, "SHARES", (0.0, 0.5, 1.0))
        lpips.write(tmp_path / "lpips.npz", random_weights())
        files = [tmp_path / f"{name}.pdparams" for name in "ab"]
        for file, gain in zip(files, (1.0, 0.25)):
            weights.save(generators.shifting(((0, 0),) * 3, gain), file)
        line = ["--hr", hr_folder, "--device", "cpu", "--lpips", tmp_path / "lpips.npz"]
        plot = tmp_path / "new" / "t.png"
        flags = ["--weights", files[0], "--blend", files[1], "--tradeoff", plot, "--csv", tmp_path / "mixed.csv"]
        write, figures = evaluate.write_plot, []
        monkeypatch.setattr(evaluate, "write_plot", lambda *given: figures.append(given[0]) or write(*given))
        run(*line, *flags)
        assert cv2.imread(str(plot)) is not None
        run(*line, "--weights", *files, "--csv", tmp_path / "pure.csv")
        mixed, pure = (rows_of(tmp_path / f"{name}.csv") for name in ("mixed", "pure"))
        assert list(mixed) == ["bicubic", "0.0 of b", "0.5 of b", "1.0 of b"]
        bicubic, *blends = ([row["psnr_y"], row["lpips"]] for row in mixed.values())
        lines = {line.get_label(): line.get_xydata().tolist() for line in figures[0].axes[0].lines}
        assert lines == {"share of b": blends, "bicubic": [bicubic]}
        for name in ("psnr_y", "lpips", "grid"):
            assert mixed["0.0 of b"][name] == pytest.approx(pure["a"][name], rel=1e-6)
            assert mixed["1.0 of b"][name] == pytest.approx(pure["b"][name], rel=1e-6)
        assert len({row["psnr_y"] for row in mixed.values()}) == 4

    @pytest.mark.parametrize(
        "flags, words, status",
        [
            ("--weights g.pdparams sr/../g.pdparams", "g.pdparams is given twice", 2),
            ("--sr sr", "sr lacks the SR picture of .*c.png: expected 照片 c.png or 照片 cx4.png", 1),
            ("--sr wrong", "a.png has 20x20 pixels; expected 48x40", 1),
            ("--sr hr --lpips none.npz", "none.npz", 2),
            ("--sr hr --pictures d.bmp --figure t.png", "--pictures d.bmp: hr has no picture of that name", 1),
            ("--sr hr --figure a.jpg", "a name ending in .png", 1),
            ("--sr hr --csv hr/a.png", "would replace", 1),
            ("--weights a --blend b", "give --tradeoff PLOT.png too", 1),
            ("--weights a c --blend b --tradeoff t.png", "one of --weights, not 2", 1),
            ("--weights a --blend b --tradeoff t.png --lpips off", "data/download.py lpips", 1),
            ("--sr small --hr small --lpips any.npz", "too small for LPIPS: 60x28 .* 31 or more a side, or --lpips", 1),
        ],
    )
    def test_what_cannot_be_measured_is_named_before_anything_is(
        self, hr_folder, tmp_path, monkeypatch, flags, words, status, capsys
    ):
        monkeypatch.chdir(tmp_path)
        sizes = {"sr/a.png": (43, 50), "wrong/a.png": (20, 20), f"wrong/{NAMES[1]}": (20, 20), "small/a.png": (28, 60)}
        for name, size in sizes.items():
            Path(name).parent.mkdir(exist_ok=True)
            write_with_opencv(Path(name), photograph(0, *size))
        with pytest.raises(InputError, match=words) as error:
            run("--hr", "hr", *flags.split())
        assert getattr(error.value, "exit_status", 1) == status
        assert "picture/s" not in capsys.readouterr().err, "nothing is measured"
