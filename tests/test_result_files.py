"""Which pictures a command works on, and where the results go."""

import pytest

from common.errors import InputError
from infer.files import check_output, find_jobs


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder: pictures in it and in folders, other files, hidden ones. Nothing here reads their content."""
    monkeypatch.chdir(tmp_path)
    for name in (
        "one.png",
        "pictures/b.JPG",
        "pictures/a b é.png",
        "pictures/notes.txt",
        "pictures/.hidden.png",
        "pictures/noending",
        "pictures/sub/c.tiff",
        "pictures/sub/deep/d.webp",
        "pictures/sub/.thumbnails/e.png",
        "pictures/sub/more.txt",
        "nothing/notes.txt",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path


def found(inputs, output="out", recursive=False, suffix="_x4", ending=""):
    """({source: target}, [problem], [other file]), all with / between folders."""
    jobs, others = find_jobs(inputs, output, recursive, suffix, ending)
    good = {job.source.as_posix(): job.target.as_posix() for job in jobs if not job.problem}
    return good, [job.problem for job in jobs if job.problem], [path.as_posix() for path in others]


def test_a_file_goes_into_the_output_folder_whatever_it_is_called(folder):
    assert found(["one.png", "pictures/b.JPG", "pictures/notes.txt", "pictures/noending", "none.png"]) == (
        {
            "one.png": "out/one_x4.png",
            "pictures/b.JPG": "out/b_x4.JPG",
            "pictures/notes.txt": "out/notes_x4.png",
            "pictures/noending": "out/noending_x4.png",
            "none.png": "out/none_x4.png",
        },
        [],
        [],
    )


def test_a_folders_pictures_are_found_by_their_endings_without_the_hidden_ones(folder):
    good, problems, others = found(["pictures"])
    assert good == {"pictures/a b é.png": "out/a b é_x4.png", "pictures/b.JPG": "out/b_x4.JPG"}
    assert list(good) == sorted(good)
    assert problems == [] and others == ["pictures/noending", "pictures/notes.txt"]


def test_recursively_they_lie_in_the_output_as_in_the_folder(folder):
    good, problems, others = found(["pictures"], recursive=True)
    assert good == {
        "pictures/a b é.png": "out/a b é_x4.png",
        "pictures/b.JPG": "out/b_x4.JPG",
        "pictures/sub/c.tiff": "out/sub/c_x4.tiff",
        "pictures/sub/deep/d.webp": "out/sub/deep/d_x4.webp",
    }
    assert problems == [] and others == ["pictures/noending", "pictures/notes.txt", "pictures/sub/more.txt"]


def test_a_folder_without_pictures_is_a_problem_and_the_others_go_on(folder):
    good, problems, others = found(["nothing", "one.png"])
    assert good == {"one.png": "out/one_x4.png"}
    assert len(problems) == 1 and "nothing holds no picture" in problems[0] and "-r" in problems[0]
    assert "-r" not in found(["nothing"], recursive=True)[1][0]
    assert others == ["nothing/notes.txt"]


def test_two_pictures_with_one_result_are_said_and_the_first_is_kept(folder):
    (folder / "pictures" / "one.png").write_bytes(b"")
    good, problems, _ = found(["one.png", "pictures/one.png", "one.png"])  # the last is the first once more
    assert good == {"one.png": "out/one_x4.png"}
    assert len(problems) == 1
    assert all(word in problems[0] for word in ("pictures/one.png", "out/one_x4.png", "that of one.png", "another -o"))
    assert "--suffix" not in problems[0] and "--format" not in problems[0]  # neither would help


def test_two_pictures_have_one_result_if_the_ending_is_given(folder):
    (folder / "b.png").write_bytes(b"")
    assert found(["b.png", "pictures/b.JPG"])[1] == []
    good, problems, _ = found(["b.png", "pictures/b.JPG"], ending=".png")
    assert good == {"b.png": "out/b_x4.png"} and "pictures/b.JPG" in problems[0] and "leave out --format" in problems[0]


def put(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def test_results_in_the_folder_itself_are_left_out(folder):
    """`upscale.py pictures -o pictures`, twice."""
    first = found(["pictures"], output="pictures")
    put(folder, *first[0].values())
    assert found(["pictures"], output="pictures") == first
    assert found(["pictures"], output=str(folder / "pictures"))[0].keys() == first[0].keys()
    assert "pictures/b_x4.JPG" in found(["pictures/b_x4.JPG"], output="pictures")[0], "unless asked for by name"


@pytest.mark.parametrize("output", ["pictures/out", "pictures/sub/deep/out"])
def test_results_in_a_sub_folder_are_left_out(folder, output):
    first = found(["pictures"], output=output, recursive=True)
    assert len(first[0]) == 4
    put(folder, *first[0].values())
    assert found(["pictures"], output=output, recursive=True) == first


def test_the_output_folder_is_made_or_refused(tmp_path):
    check_output(tmp_path / "a" / "b")
    check_output(str(tmp_path / "a" / "b"))
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="file: it is a file; expected a folder"):
        check_output(tmp_path / "file")
    with pytest.raises(InputError, match="below: this folder cannot be created .*; give another one"):
        check_output(tmp_path / "file" / "below")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_result_never_replaces_a_picture_that_was_given(folder):
    (folder / "pictures" / "one_x4.png").write_bytes(b"")
    good, problems, _ = found(["pictures/b.JPG", "one.png"], output=".", suffix="")
    assert good == {"pictures/b.JPG": "b.JPG"}
    assert len(problems) == 1 and "replace one.png" in problems[0] and "--suffix" in problems[0]
