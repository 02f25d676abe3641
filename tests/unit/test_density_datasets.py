"""Data sets of pictures with points, each in the form its authors publish it in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from culling_pipeline.tasks.density.datasets import FORMS, read_points
from culling_pipeline.tasks.density.datasets.base import PointsError

POINTS = np.array([[10.5, 20.25], [3.0, 4.0]])


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((48, 64, 3), 90, np.uint8))


def mat(path: Path, **variables: object) -> None:
    scipy_io = pytest.importorskip("scipy.io")
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy_io.savemat(path, variables)


def cell(value: object) -> np.ndarray:
    """A MATLAB cell of 1×1."""
    made = np.empty((1, 1), object)
    made[0, 0] = value
    return made


def shanghaitech(root: Path) -> None:
    for split, truths in (("train", "ground-truth"), ("test", "ground_truth")):
        for number in (1, 2):
            picture(root / f"{split}_data" / "images" / f"IMG_{number}.jpg")
            info = cell({"location": POINTS[:number], "number": number})
            mat(root / f"{split}_data" / truths / f"GT_IMG_{number}.mat", image_info=info)


def mall(root: Path) -> None:
    frames = np.empty((1, 802), object)
    for number in range(802):
        frames[0, number] = {"loc": POINTS[: number % 2 + 1]}
    mat(root / "mall_gt.mat", frame=frames, count=np.ones((802, 1)))
    for number in (1, 2, 801, 802):
        picture(root / "frames" / f"seq_{number:06d}.jpg")


def carpk(root: Path) -> None:
    for folder, content in (("ImageSets/train.txt", "a\nb\n"), ("ImageSets/test.txt", "a\nb\n")):
        (root / folder).parent.mkdir(parents=True, exist_ok=True)
        (root / folder).write_text(content)
    (root / "Annotations").mkdir()
    for name, lines in (("a", ["8 18 13 22.5 1"]), ("b", ["8 18 13 22.5 1", "2 2 4 6 1", ""])):
        picture(root / "Images" / f"{name}.png")
        (root / "Annotations" / f"{name}.txt").write_text("\n".join(lines))


def ucf_qnrf(root: Path) -> None:
    for split in ("Train", "Test"):
        for number in (1, 2):
            picture(root / split / f"img_{number:04d}.jpg")
            mat(root / split / f"img_{number:04d}_ann.mat", annPoints=POINTS[:number])


def table(root: Path) -> None:
    lines = ["file,split,x_px,y_px"]
    for split in ("train", "test"):
        for number in (1, 2):
            picture(root / "images" / f"{split}{number}.jpg")
            lines += [f"{split}{number}.jpg,{split},{x},{y}" for x, y in POINTS[:number]]
    (root / "points.csv").write_text("\n".join(lines))


MAKERS: dict[str, Callable[[Path], None]] = {
    "csv": table,
    "shanghaitech": shanghaitech,
    "mall": mall,
    "carpk": carpk,
    "ucf-qnrf": ucf_qnrf,
}


def test_every_form_is_tried() -> None:
    assert MAKERS.keys() == FORMS.keys()


@pytest.mark.parametrize("form", MAKERS)
@pytest.mark.parametrize("split", ["train", "test"])
def test_pictures_and_points_are_read(tmp_path: Path, form: str, split: str) -> None:
    MAKERS[form](tmp_path)
    found = read_points(tmp_path, split)
    assert len(found.pictures) == 2
    one, two = (p.points for p in found.pictures)
    assert one == pytest.approx(POINTS[:1])
    assert two == pytest.approx(np.array([[10.5, 20.25], [3.0, 4.0]]))
    assert two.dtype == np.float32
    assert found.pictures[0].read().shape == (48, 64, 3)
    missing = 798 if form == "mall" and split == "train" else 0  # pictures that were not made
    assert len(found.problems) == missing


@pytest.mark.parametrize("form", ["shanghaitech", "ucf-qnrf"])
def test_a_damaged_file_of_points_is_one_line(tmp_path: Path, form: str) -> None:
    MAKERS[form](tmp_path)
    bad = next(p for p in sorted(tmp_path.rglob("*1*.mat")) if "rain" in str(p))
    for content in (b"", b"not a matlab file" * 20, bad.read_bytes()[:150]):
        bad.write_bytes(content)
        found = read_points(tmp_path, "train")
        assert len(found.pictures) == 1
        (line,) = found.problems
        assert "1" in line
        assert "\n" not in line


def test_a_mat_file_with_other_variables_is_one_line(tmp_path: Path) -> None:
    ucf_qnrf(tmp_path)
    mat(tmp_path / "Train" / "img_0001_ann.mat", points=POINTS)
    (line,) = read_points(tmp_path, "train").problems
    assert "annPoints" in line


def test_a_picture_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    carpk(tmp_path)
    (tmp_path / "Images" / "a.png").unlink()
    found = read_points(tmp_path, "train")
    assert len(found.pictures) == 1
    assert found.problems == (
        f"{tmp_path}/Images/a.png: there are points for it, but no such picture",
    )


def test_a_table_without_split_tests_on_every_fifth(tmp_path: Path) -> None:
    for number in range(10):
        picture(tmp_path / f"{number}.jpg")
    lines = ["file,x,y", *(f"{n}.jpg,1,2" for n in range(9)), "9.jpg,,"]
    (tmp_path / "points.csv").write_text("\n".join(lines))
    found = read_points(tmp_path, "test")
    assert [p.path.name for p in found.pictures] == ["4.jpg", "9.jpg"]
    assert found.pictures[1].points.shape == (0, 2)
    assert len(read_points(tmp_path, "train").pictures) == 8


def test_a_bad_line_names_its_picture_and_its_number(tmp_path: Path) -> None:
    table(tmp_path)
    path = tmp_path / "points.csv"
    path.write_text(path.read_text().replace("train1.jpg,train,10.5", "train1.jpg,train,ten"))
    (line,) = read_points(tmp_path, "train").problems
    assert line.startswith(f"{tmp_path}/images/train1.jpg: ")
    assert "line 2 of points.csv: x 'ten'" in line


@pytest.mark.parametrize("word", ["nan", "inf", "-inf"])
def test_a_point_that_is_nowhere_names_its_picture_and_itself(tmp_path: Path, word: str) -> None:
    table(tmp_path)
    path = tmp_path / "points.csv"
    path.write_text(path.read_text().replace("train2.jpg,train,3.0", f"train2.jpg,train,{word}"))
    found = read_points(tmp_path, "train")
    assert len(found.pictures) == 1
    assert found.problems == (
        f"{tmp_path}/images/train2.jpg: its point 2 is x {word}, y 4: must be numbers of pixels",
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name,x,y\na,1,2\n", "needs the columns file,x,y, found name,x,y"),
        ("file,x,y\n", "no picture of split 'train' in the form of csv"),
        ("file,split,x,y\na.jpg,train,1,2\n", "the first of 1 bad files: .*no such picture"),
        ("\xff", "cannot be read|needs the columns"),
    ],
)
def test_a_bad_table_is_one_clear_line(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "points.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(PointsError, match=message):
        read_points(tmp_path, "train")


def test_a_folder_of_no_known_form(tmp_path: Path) -> None:
    with pytest.raises(PointsError, match="known forms: csv, shanghaitech, mall, carpk, ucf-qnrf"):
        read_points(tmp_path, "train")


CROWDS = Path(__file__).resolve().parents[3] / "shared" / "data" / "crowds"


@pytest.mark.skipif(not CROWDS.is_dir(), reason="real crowds are not here")
def test_real_crowds() -> None:
    train, test = (read_points(CROWDS, split) for split in ("train", "test"))
    assert (len(train.pictures), len(test.pictures)) == (150, 50)
    assert train.problems == test.problems == ()
    assert sum(len(p.points) for p in (*train.pictures, *test.pictures)) == 114_122
