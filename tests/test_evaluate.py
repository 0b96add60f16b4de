"""`evaluate`: what it measures, by methods whose figures are known; and the command as a user runs it."""

import contextlib
import csv
import io
import json
import math
import time
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
from infer.measuring import figures as drawn
from infer.measuring import measure, tables
from models.weight_files import weights
from tests.helpers import generators, matlab
from tests.helpers.lpips_weights import random_weights
from tests.helpers.pictures import write_with_opencv

ROOT = Path(__file__).resolve().parents[1]
NAMES = ["a.png", "b.bmp", "照片 c.png"]


def photograph(seed, height, width):
    small = np.random.default_rng(seed).integers(0, 256, (height // 6, width // 6, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def hr_folder(tmp_path):
    """Three pictures whose sides are no multiples of 4."""
    folder = tmp_path / "hr"
    folder.mkdir()
    for seed, name in enumerate(NAMES):
        write_with_opencv(folder / name, photograph(seed, 43, 50 + 4 * seed))
    return folder


def nearest(lr, plus=0):
    return lr.repeat(4, axis=0).repeat(4, axis=1) + np.uint8(plus)


def measured(folder, methods, lr_folder=None, **settings):
    return list(measure.measure(pairs(folder, lr_folder), methods, **settings))


def luma(rgb):
    return np.floor(16 + rgb.astype(float) @ np.array([65.481, 128.553, 24.966]) / 255 + 0.5)


def by_skimage(sr, hr):
    """PSNR-Y, SSIM-Y and PSNR-RGB by scikit-image alone, without 4 pixels along each border."""
    sr, hr = sr[4:-4, 4:-4], hr[4:-4, 4:-4]
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    ssim = structural_similarity(luma(sr), luma(hr), **settings)
    return peak_signal_noise_ratio(luma(hr), luma(sr), data_range=255), ssim, peak_signal_noise_ratio(hr, sr)


class TestMeasure:
    def test_an_offset_of_a_plain_picture_has_known_figures(self, tmp_path):
        write_with_opencv(tmp_path / "plain.png", np.full((40, 48, 3), 100, np.uint8))
        methods = {"same": nearest, "five": lambda lr: nearest(lr, 5)}
        ((result, _, hr, srs),) = measured(tmp_path, methods)
        same, five = result["methods"]["same"], result["methods"]["five"]
        assert same["psnr_y"] == same["psnr_rgb"] == math.inf and same["ssim_y"] == pytest.approx(1)
        assert five["psnr_rgb"] == pytest.approx(20 * math.log10(255 / 5))
        # 219 * 100 / 255 + 16 and 219 * 105 / 255 + 16 are 101.9 and 106.2, in 8 bits 102 and 106.
        assert five["psnr_y"] == pytest.approx(20 * math.log10(255 / 4))
        assert (hr == 100).all() and (srs["five"] == 105).all()

    def test_figures_are_skimages(self, hr_folder):
        for result, _, hr, srs in measured(hr_folder, {"bicubic": enlarge, "nearest": nearest}):
            for label, sr in srs.items():
                figures = result["methods"][label]
                expected = by_skimage(sr, hr)
                assert (figures["psnr_y"], figures["ssim_y"], figures["psnr_rgb"]) == pytest.approx(expected)

    def test_lr_of_a_folder_is_taken_as_it_is(self, hr_folder, tmp_path):
        lr_folder = tmp_path / "lr"
        lr_folder.mkdir()
        for seed, name in enumerate(NAMES):
            write_with_opencv(lr_folder / name, matlab.noise(10, 12 + seed))
        seen = []
        measured(hr_folder, {"x": lambda lr: seen.append(lr) or nearest(lr)}, lr_folder)
        for width, lr in zip((12, 12, 13, 14), seen):
            np.testing.assert_array_equal(lr, matlab.noise(10, width))

    def test_nothing_is_read_or_compared_while_a_method_is_timed(self, hr_folder, monkeypatch):
        active, seen = [], []

        def slowly(function):
            def call(*arguments):
                active.append(function)
                time.sleep(0.02)
                result = function(*arguments)
                active.remove(function)
                return result

            return call

        for name in ("figures_of", "read_pair"):
            monkeypatch.setattr(measure, name, slowly(getattr(measure, name)))
        results = measured(hr_folder, {"x": lambda lr: seen.append(list(active)) or nearest(lr), "y": enlarge})
        assert seen == [[]] * (1 + len(NAMES))
        assert [result["name"] for result, *_ in results] == NAMES

    def test_ready_made_pictures_have_the_figures_of_their_pixels_and_no_seconds(self, hr_folder, tmp_path):
        folder = tmp_path / "theirs"
        folder.mkdir()
        for (*_, srs), name in zip(measured(hr_folder, {"x": nearest}), ("a.png", "bx4.png", "照片 c.bmp")):
            # One more row and column, as of a program that enlarges the uncut picture.
            write_with_opencv(folder / name, np.pad(srs["x"], ((0, 3), (0, 1), (0, 0))))
        files = sr_files([hr_path for hr_path, _ in pairs(hr_folder)], folder)
        for result, _, _, srs in measured(hr_folder, {"x": nearest}, ready={"theirs": files}):
            theirs, x = result["methods"]["theirs"], result["methods"]["x"]
            assert theirs == {key: value for key, value in x.items() if key not in ("seconds", "mp_per_s")}
            np.testing.assert_array_equal(srs["theirs"], srs["x"])

    def test_lpips_is_of_the_whole_pictures_as_cut(self, hr_folder):
        """Any function takes its place: this one counts the pixels that differ."""
        calls = []

        def distance(sr, hr):
            calls.append(sr.shape == hr.shape)
            return float((sr != hr).any(axis=2).sum())

        for result, _, hr, srs in measured(hr_folder, {"x": nearest, "y": enlarge}, distance=distance):
            for label, sr in srs.items():
                assert result["methods"][label]["lpips"] == np.abs(sr.astype(int) - hr).any(axis=2).sum()
        assert calls == [True] * 6
        assert "lpips" not in measured(hr_folder, {"x": nearest})[0][0]["methods"]["x"]

    def test_grid_is_of_the_result(self, hr_folder):
        def gridded(lr):
            sr = np.full_like(nearest(lr), 100)
            sr[::4, ::4] += 8
            return sr

        for result, *_ in measured(hr_folder, {"grid": gridded, "plain": lambda lr: nearest(lr * 0)}):
            assert result["methods"]["grid"]["grid"] == pytest.approx(8 * math.sqrt(624 / 625) / 4, rel=1e-4)
            assert result["methods"]["plain"]["grid"] == 0


def result(name, width, height, **methods):
    keys = ("psnr_y", "ssim_y", "psnr_rgb", "seconds", "mp_per_s")
    return {
        "name": name,
        "width": width,
        "height": height,
        "methods": {label: dict(zip(keys, row)) for label, row in methods.items()},
    }


RESULTS = [
    result("a.png", 1000, 500, bicubic=(30.0, 0.8, 28.0, 0.01, 50.0), net=(31.0, 0.85, 29.0, 0.5, 1.0)),
    result("b, c.png", 1000, 1000, bicubic=(20.0, 0.5, 18.0, 0.04, 25.0), net=(math.inf, 1.0, math.inf, 1.5, 2 / 3)),
]


class TestReport:
    def test_means(self):
        means = tables.means(RESULTS)
        assert means["bicubic"] == pytest.approx(
            {"psnr_y": 25, "ssim_y": 0.65, "psnr_rgb": 23, "seconds": 0.025, "mp_per_s": 1.5 / 0.05}
        )
        assert means["net"]["psnr_y"] == math.inf and means["net"]["mp_per_s"] == pytest.approx(1.5 / 2)

    def test_text(self):
        paper = {"SRGAN (paper)": {"psnr_y": 29.4, "ssim_y": 0.8472}}
        assert tables.report(RESULTS, paper).splitlines() == [
            "a.png, 1000x500",
            "method   PSNR-Y  SSIM-Y  PSNR-RGB  seconds   MP/s",
            "bicubic   30.00  0.8000     28.00    0.010  50.00",
            "net       31.00  0.8500     29.00    0.500   1.00",
            "",
            "b, c.png, 1000x1000",
            "method   PSNR-Y  SSIM-Y  PSNR-RGB  seconds   MP/s",
            "bicubic   20.00  0.5000     18.00    0.040  25.00",
            "net         inf  1.0000       inf    1.500   0.67",
            "",
            "mean of 2 pictures",
            "method         PSNR-Y  SSIM-Y  PSNR-RGB  seconds   MP/s",
            "bicubic         25.00  0.6500     23.00    0.025  30.00",
            "net               inf  0.9250       inf    1.000   0.75",
            "SRGAN (paper)   29.40  0.8472         -        -      -",
        ]

    def test_csv(self, tmp_path):
        tables.write_csv(tmp_path / "new" / "figures.csv", RESULTS)
        with open(tmp_path / "new" / "figures.csv", encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [(row["picture"], row["method"]) for row in rows] == [
            (picture, method) for picture in ("a.png", "b, c.png", "mean") for method in ("bicubic", "net")
        ]
        for row, expected in zip(rows, [30, 31, 20, math.inf, 25, math.inf]):
            assert float(row["psnr_y"]) == expected
        assert list(rows[0])[2:] == ["psnr_y", "ssim_y", "psnr_rgb", "seconds", "mp_per_s"]

    def test_json_is_standard_even_with_infinities(self, tmp_path):
        def refuse(name):
            raise AssertionError(f"{name} is no JSON")

        tables.write_json(tmp_path / "f.json", RESULTS, {"engine": "eager"}, {"SRGAN (paper)": {"psnr_y": 29.4}})
        content = json.loads((tmp_path / "f.json").read_text(encoding="utf-8"), parse_constant=refuse)
        assert content["settings"] == {"engine": "eager"}
        assert content["paper"] == {"SRGAN (paper)": {"psnr_y": 29.4}}
        assert content["pictures"][0] == RESULTS[0]
        assert content["pictures"][1]["methods"]["net"]["psnr_y"] == "inf"
        assert content["means"]["bicubic"]["psnr_y"] == 25 and content["means"]["net"]["psnr_rgb"] == "inf"


@pytest.mark.parametrize(
    "paths, expected",
    [
        (["models/g_models", "output/pretrain_g.pdparams"], ["g_models", "pretrain_g"]),
        (["x/run/g.pdparams", "y/run/g.pdparams", "z/p.pdparams"], ["x/run/g", "y/run/g", "p"]),
        (["out/g", "out/g.pdparams"], ["g", "g.pdparams"]),
        (["g.pdparams", "run/h.pdparams", "run/g.pdparams"], [f"{Path.cwd().name}/g", "h", "run/g"]),
        (["out/bicubic.pdparams"], ["out/bicubic"]),
    ],
)
def test_labels_are_short_and_tell_apart(paths, expected):
    assert labels(paths) == dict(zip(expected, paths))


def test_published_figures_of_the_usual_sets(tmp_path):
    for folder, srgan in (("Set5", 29.40), ("SET14/HR", 26.02), ("x/bsd100/image_SRF_4", 25.16)):
        (tmp_path / folder).mkdir(parents=True)
        figures = tables.paper_figures(tmp_path / folder)
        assert list(figures) == ["SRResNet (paper)", "SRGAN (paper)"]
        assert figures["SRGAN (paper)"]["psnr_y"] == srgan and set(figures["SRGAN (paper)"]) == {"psnr_y", "ssim_y"}
    figures = tables.paper_figures(tmp_path / "SET14", with_lpips=True)
    assert figures["SRGAN (SPSR)"] == {"lpips": 0.1663, "psnr_y": 26.17}
    assert figures["bicubic (SPSR)"] == {"lpips": 0.4393}
    (tmp_path / "link").symlink_to(tmp_path / "Set5")
    assert tables.paper_figures(tmp_path / "link")["SRResNet (paper)"] == {"psnr_y": 32.05, "ssim_y": 0.9019}
    (tmp_path / "Set50").mkdir()
    assert tables.paper_figures(tmp_path / "Set50") == {}


class TestFigure:
    def test_the_detail_is_where_the_picture_has_most(self):
        hr = np.full((120, 180, 3), 90, np.uint8)
        hr[:60] = 255  # an edge, but a lesser detail than the noise
        hr[70:90, 130:150] = matlab.noise(20, 20)
        assert drawn.detail(hr) == (70, 130, 20)

    @pytest.mark.filterwarnings("ignore:Glyph")
    def test_panels(self, hr_folder):
        shown = measured(hr_folder, {"bicubic": enlarge, "run/net": nearest})
        figure = drawn.draw_comparison(shown)
        axes = np.array(figure.axes).reshape(3, 5)
        for row, (result, lr, hr, srs) in zip(axes, shown):
            top, left, side = drawn.detail(hr)
            inside = (slice(top, top + side), slice(left, left + side))
            small = lr[top // 4 : (top + side + 3) // 4, left // 4 : (left + side + 3) // 4]
            pictures = [hr, small, srs["bicubic"][inside], srs["run/net"][inside], hr[inside]]
            for axis, picture in zip(row, pictures):
                np.testing.assert_array_equal(axis.images[0].get_array(), picture)
                assert axis.images[0].get_interpolation() == "nearest"
            assert [len(axis.patches) for axis in row] == [1, 0, 0, 0, 0]
            assert row[0].patches[0].get_bbox().bounds == (left - 0.5, top - 0.5, side, side)
            texts = [axis.get_xlabel() for axis in row]
            assert texts[0] == result["name"] and texts[1].startswith("LR") and texts[4] == "HR"
            figures = result["methods"]["bicubic"]
            assert texts[2] == f"bicubic\n{figures['psnr_y']:.2f} dB / {figures['ssim_y']:.4f}"
            assert texts[3].startswith("run/\nnet\n")
        plt.close(figure)

    def test_choice(self, hr_folder):
        pictures = pairs(hr_folder)
        assert evaluate.for_figure(pictures, ["照片 c", "a.png"]) == ["照片 c.png", "a.png"]
        assert evaluate.for_figure(pictures, None) == NAMES
        write_with_opencv(hr_folder / "d.png", photograph(0, 24, 24))
        assert evaluate.for_figure(pairs(hr_folder), None) == ["a.png", "b.bmp", "d.png"]
        with pytest.raises(InputError, match="--pictures d.bmp: .*hr has no picture of that name"):
            evaluate.for_figure(pictures, ["a", "d.bmp"])


class TestTradeoff:
    def test_the_curve_has_the_mixtures_and_the_rest_are_points(self):
        blends = {
            0.0: {"psnr_y": 30, "lpips": 0.3},
            0.5: {"psnr_y": 29.5, "lpips": 0.2},
            1.0: {"psnr_y": 28, "lpips": 0.1},
        }
        others = {
            "bicubic": {"psnr_y": 28.4, "lpips": 0.34},
            "a$_b$": {"psnr_y": 29, "lpips": 0.15},
            "SRGAN (paper)": {"psnr_y": 29.4, "ssim_y": 0.8472},
            "ESRGAN (SPSR)": {"lpips": 0.0748},
        }
        figure = drawn.draw_tradeoff(blends, others, "srgan_g")
        (axis,) = figure.axes
        lines = {line.get_label(): line.get_xydata().tolist() for line in axis.lines}
        assert lines == {
            "share of srgan_g": [[30, 0.3], [29.5, 0.2], [28, 0.1]],
            "bicubic": [[28.4, 0.34]],
            "a$_b$": [[29, 0.15]],
        }
        assert [(text.get_text(), text.xy) for text in axis.texts] == [
            ("0.0", (30, 0.3)),
            ("0.5", (29.5, 0.2)),
            ("1.0", (28, 0.1)),
        ]
        plt.close(figure)

    @pytest.mark.slow
    def test_the_ends_are_the_two_generators(self, hr_folder, tmp_path, capsys):
        """Two generators of different contrast; the mixtures of a share of 0 and 1 are each of them alone."""
        lpips.write(tmp_path / "lpips.npz", random_weights())
        files = [str(tmp_path / f"{name}.pdparams") for name in "ab"]
        for file, gain in zip(files, (1.0, 0.25)):
            weights.save(generators.shifting(((0, 0),) * 3, gain), file)
        (hr_folder / "b.bmp").unlink()
        line = ["--hr", str(hr_folder), "--device", "cpu", "--lpips", str(tmp_path / "lpips.npz")]
        plot, figures = str(tmp_path / "new" / "t.png"), [str(tmp_path / f"{name}.json") for name in ("mixed", "pure")]
        flags = ["--weights", files[0], "--blend", files[1], "--tradeoff", plot, "--json", figures[0]]
        evaluate.main(evaluate.parser().parse_args([*line, *flags]))
        assert cv2.imread(plot) is not None
        evaluate.main(evaluate.parser().parse_args([*line, "--weights", *files, "--json", figures[1]]))
        mixed, pure = (json.loads(Path(path).read_text(encoding="utf-8"))["means"] for path in figures)
        assert list(mixed) == ["bicubic", *(f"{tenth / 10} of b" for tenth in range(11))]
        for name in ("psnr_y", "lpips", "grid"):
            assert mixed["0.0 of b"][name] == pytest.approx(pure["a"][name], rel=1e-6)
            assert mixed["1.0 of b"][name] == pytest.approx(pure["b"][name], rel=1e-6)
        assert len({figures["psnr_y"] for figures in mixed.values()}) == 12

    @pytest.mark.parametrize(
        "flags, word",
        [
            (["--weights", "a", "--blend", "b"], "give --tradeoff PLOT.png too"),
            (["--weights", "a", "c", "--blend", "b", "--tradeoff", "t.png"], "one of --weights, not 2"),
            (["--weights", "a", "--blend", "b", "--tradeoff", "t.png", "--lpips", "off"], "data/download.py lpips"),
            (["--weights", "a", "--blend", "b", "--tradeoff", "t.jpg"], "a name ending in .png"),
            (["--weights", "a", "--blend", "b", "--tradeoff", "t.png", "--figure", "t.png"], "different files"),
        ],
    )
    def test_what_it_needs(self, hr_folder, tmp_path, monkeypatch, flags, word):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(InputError, match=word):
            evaluate.main(evaluate.parser().parse_args(["--hr", str(hr_folder), *flags]))


def run(*arguments):
    """Standard output of the command."""
    with contextlib.redirect_stdout(io.StringIO()) as output:
        evaluate.main(evaluate.parser().parse_args(list(map(str, arguments))))
    return output.getvalue()


class TestCommand:
    @pytest.mark.slow
    def test_figures_of_a_real_network(self, hr_folder, g_models, tmp_path):
        (hr_folder / "b.bmp").unlink()
        files = [tmp_path / "out" / name for name in ("f.csv", "f.json", "f.png")]
        flags = ["--csv", files[0], "--json", files[1], "--figure", files[2], "--device", "cpu", "--lpips", "off"]
        lines = run("--hr", hr_folder, "--weights", g_models, *flags).splitlines()
        assert "precision fp32, device cpu; LR made from hr, bicubic" in lines[0]
        assert [line.split()[0] for line in lines[1:] if line] == [
            *["a.png,", "method", "bicubic", "g_models"],
            *["照片", "method", "bicubic", "g_models"],
            *["mean", "method", "bicubic", "g_models"],
        ]
        upscaler = Upscaler(g_models, precision="fp32", device="cpu")
        content = json.loads(files[1].read_text(encoding="utf-8"))
        for picture, seed in zip(content["pictures"], (0, 2)):
            hr = photograph(seed, 43, 50 + 4 * seed)[:40, : picture["width"]]
            sr = upscaler(matlab.imresize(hr, 10, hr.shape[1] // 4))
            figures = picture["methods"]["g_models"]
            expected = by_skimage(sr, hr)
            assert (figures["psnr_y"], figures["ssim_y"], figures["psnr_rgb"]) == pytest.approx(expected, rel=1e-3)
            assert figures["seconds"] > 0
        settings = content["settings"]
        assert settings["precision"] == "fp32" and settings["shave"] == 4
        assert settings["weights"] == {"g_models": str(g_models)} and "numpy" in settings["versions"]
        assert files[0].read_text(encoding="utf-8").count("\n") == 1 + 2 * 3
        assert cv2.imread(str(files[2])).shape[1] > 1000

    def test_ready_made_pictures_and_lpips(self, hr_folder, tmp_path):
        """Equal pictures have the best figures there are; neither weights nor an engine are needed for them."""
        (hr_folder / "b.bmp").unlink()
        folders = [tmp_path / name / "sr" for name in ("same", "dark")]
        for folder, factor in zip(folders, (1, 0.5)):
            folder.mkdir(parents=True)
            for seed, name in ((0, "a.png"), (2, "照片 c.png")):
                write_with_opencv(folder / name, (photograph(seed, 43, 50 + 4 * seed) * factor).astype(np.uint8))
        lpips.write(tmp_path / "lpips.npz", random_weights())
        flags = ["--sr", folders[0], "--sr", folders[1], "--json", tmp_path / "f.json"]
        lines = run("--hr", hr_folder, *flags, "--lpips", tmp_path / "lpips.npz").splitlines()
        assert lines[0] == "LR made from hr, bicubic"
        assert lines[-4].split() == ["method", "PSNR-Y", "SSIM-Y", "LPIPS", "PSNR-RGB", "grid", "seconds", "MP/s"]
        assert lines[-2].split()[:5] == ["same/sr", "inf", "1.0000", "0.0000", "inf"]
        content = json.loads((tmp_path / "f.json").read_text(encoding="utf-8"))
        assert content["settings"]["sr"] == {"same/sr": str(folders[0]), "dark/sr": str(folders[1])}
        hr = photograph(0, 43, 50)[:40, :48]
        expected = lpips.Lpips(random_weights())((hr * 0.5).astype(np.uint8), hr)
        assert content["pictures"][0]["methods"]["dark/sr"]["lpips"] == pytest.approx(expected, rel=1e-5)

    def test_without_lpips_weights_one_line_says_how_to_get_them(self, hr_folder, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        assert "LPIPS" not in run("--hr", hr_folder, "--sr", hr_folder)
        said = "LPIPS is left out: weights/lpips_alex.npz is missing; get it with: python data/download.py lpips"
        assert capsys.readouterr().err.splitlines()[0] == said

    @pytest.mark.parametrize(
        "flags, words, status",
        [
            (["--weights", "g.pdparams"], "g.pdparams", 2),
            (["--weights", "g.pdparams", "sr/../g.pdparams"], "g.pdparams is given twice", 2),
            (["--sr", "sr"], "sr lacks the SR picture of .*b.bmp: expected b.bmp or bx4.bmp, 52x40 pixels", 1),
            (["--sr", "wrong"], "a.png has 20x20 pixels; expected 48x40", 1),
            (["--sr", "hr", "--lpips", "none.npz"], "none.npz", 2),
            (["--weights", "g.pdparams", "--pictures", "a"], "give --figure", 1),
            (["--weights", "g.pdparams", "--json", "."], "folder", 1),
            (["--weights", "g.pdparams", "--csv", "same", "--json", "./same"], "different files", 1),
            (["--weights", "g.pdparams", "--figure", "a.jpg"], ".png", 1),
            (["--weights", "g.pdparams", "--csv", "hr/a.png"], "would replace", 1),
        ],
    )
    def test_what_cannot_be_measured_is_named_before_anything_is(
        self, hr_folder, tmp_path, monkeypatch, flags, words, status, capsys
    ):
        monkeypatch.chdir(tmp_path)
        for folder, size in (("sr", (43, 50)), ("wrong", (20, 20))):
            (tmp_path / folder).mkdir()
            write_with_opencv(tmp_path / folder / "a.png", photograph(0, *size))
        for name in ("b.bmp", "照片 c.png"):
            write_with_opencv(tmp_path / "wrong" / name, photograph(0, 20, 20))
        with pytest.raises(InputError, match=words) as error:
            run("--hr", "hr", *flags)
        assert getattr(error.value, "exit_status", 1) == status
        assert "picture/s" not in capsys.readouterr().err, "nothing is measured"

    def test_a_bad_or_too_small_picture_is_named(self, tmp_path):
        (tmp_path / "hr").mkdir()
        write_with_opencv(tmp_path / "hr" / "a.png", photograph(0, 28, 60))
        with pytest.raises(InputError, match="too small for LPIPS: 60x28 .* 31 or more a side, or --lpips off"):
            run("--hr", tmp_path / "hr", "--sr", tmp_path / "hr", "--lpips", "any.npz")
        (tmp_path / "hr" / "z.png").write_bytes(b"no picture")
        with pytest.raises(InputError, match=r"z\.png"):
            run("--hr", tmp_path / "hr", "--sr", tmp_path / "hr", "--lpips", "off")
