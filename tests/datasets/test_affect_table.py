"""Tables of valence and arousal, as AffectNet has them."""

from __future__ import annotations

import gzip
import os

import cv2
import numpy as np
import pandas as pd
import pytest

from skfer.datasets import load_affect_table

HEADER = "subDirectory_filePath,face_x,expression,valence,arousal"
ROWS = [
    "1/a.png,10,1,0.9,0.2",
    "1/b.png,10,10,-2,-2",
    "2/c.png,12,6,-0.5,0.7",
    "2/d.png,12,9,,0.1",
]


@pytest.fixture
def folder(tmp_path):
    """A folder with four images and their table."""
    for place, name in enumerate(["1/a.png", "1/b.png", "2/c.png", "2/d.png"]):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        assert cv2.imwrite(str(path), np.full((8, 8), place, np.uint8))
    (tmp_path / "training.csv").write_text("\n".join([HEADER, *ROWS]) + "\n")
    return tmp_path


def with_rows(folder, *rows, header=HEADER):
    path = folder / "other.csv"
    path.write_text("\n".join([header, *rows]))
    return path


def test_rows_without_a_rating_are_left_out_and_counted(folder):
    data = load_affect_table(folder / "training.csv")
    assert data.paths.tolist() == [folder / "1/a.png", folder / "2/c.png"]
    np.testing.assert_array_equal(data.target, [[0.9, 0.2], [-0.5, 0.7]])
    np.testing.assert_array_equal(data.valence, [0.9, -0.5])
    np.testing.assert_array_equal(data.arousal, [0.2, 0.7])
    assert data.labels.tolist() == ["happy", "angry"]
    assert data.row.tolist() == [0, 2]
    assert data.n_dropped == 2
    assert "2 rows without a rating" in data.DESCR


def test_a_table_of_pandas_or_compressed_is_the_same(folder):
    paths, affect = load_affect_table(folder / "training.csv", return_X_y=True)
    with gzip.open(folder / "t.csv.gz", "wt") as file:
        file.write((folder / "training.csv").read_text())
    table = pd.read_csv(folder / "training.csv")
    for source, where in ((folder / "t.csv.gz", None), (table, folder)):
        data = load_affect_table(source, folder=where)
        assert data.paths.tolist() == paths.tolist()
        np.testing.assert_array_equal(data.target, affect)
        assert data.labels.tolist() == ["happy", "angry"]
    with pytest.raises(ValueError, match="folder says where the images of a DataFrame lie"):
        load_affect_table(table)


def test_columns_of_other_names_and_scales(folder):
    path = with_rows(folder, "1/a.png,9,1,joy", "2/c.png,-2,5,Karuna", header="file,v,a,shown")
    columns = {"image": "file", "valence": "v", "arousal": "a"}
    data = load_affect_table(path, **columns, expression="shown", missing=None)
    assert data.labels.tolist() == ["happy", "Karuna"]
    np.testing.assert_array_equal(data.target, [[9, 1], [-2, 5]])
    assert load_affect_table(path, **columns).labels is None


@pytest.mark.parametrize(
    "outside", ["../x.png", "{folder}/../x.png", "1/../../x.png", "link/x.png"]
)
def test_no_path_leads_out_of_the_folder(folder, outside):
    inner = folder / "inner"
    inner.mkdir()
    (folder / "x.png").write_bytes(b"x")
    os.symlink(folder, inner / "link")
    path = with_rows(folder, f"{outside.format(folder=inner)},0,1,0.1,0.1")
    with pytest.raises(ValueError, match=r"row 0: the image .* is outside of"):
        load_affect_table(path, folder=inner)


def test_a_linked_file_stays_inside_too(folder):
    inner = folder / "inner"
    inner.mkdir()
    os.symlink(folder / "1/a.png", inner / "a.png")
    path = with_rows(folder, "a.png,0,1,0.1,0.1")
    with pytest.raises(ValueError, match="outside of"):
        load_affect_table(path, folder=inner)
    assert load_affect_table(path, folder=folder / "1").paths[0].name == "a.png"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["1/a.png,0,1,high,0.1"], "row 0: valence is 'high', no number"),
        (["1/a.png,0,1,0.1,inf"], "row 0: arousal is infinite"),
        (["1/a.png,0,11,0.1,0.1"], "row 0: the expression is '11'; AffectNet's codes are 0 to 10"),
        (["1/a.png,0,1,0.1"], "row 0 has 4 cells, the first line 5"),
        (["1/a.png,0,1,0,0", "1/z.png,0,1,0,0"], "row 1: there is no image .* 1 of 2 are missing"),
        (["1/a.png,0,1,-2,-2"], "1 rows, and none has both ratings"),
        ([], "0 rows, and none"),
    ],
)
def test_a_bad_row_is_named(folder, rows, message):
    with pytest.raises(ValueError, match=message):
        load_affect_table(with_rows(folder, *rows))


def test_a_missing_file_or_column_is_named(folder):
    with pytest.raises(ValueError, match="There is no file"):
        load_affect_table(folder / "absent.csv")
    with pytest.raises(ValueError, match="There is no folder"):
        load_affect_table(folder / "training.csv", folder=folder / "absent")
    with pytest.raises(ValueError, match=r"has no column 'v'; it has \['subDirectory_filePath'"):
        load_affect_table(folder / "training.csv", valence="v")
