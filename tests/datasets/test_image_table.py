import gzip
import os

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GroupKFold, cross_val_score

from skfer.datasets import load_affect_table, load_image_table, make_faces

HEADER = "subDirectory_filePath,face_x,expression,valence,arousal"
ROWS = ["1/a.png,10,1,0.9,0.2", "1/b.png,10,10,-2,-2", "2/c.png,12,6,-0.5,0.7", "2/d.png,12,9,,0.1"]


@pytest.fixture
def folder(tmp_path):
    for row in ROWS:
        path = tmp_path / row.split(",")[0]
        path.parent.mkdir(exist_ok=True)
        assert cv2.imwrite(str(path), np.zeros((8, 8), np.uint8))
    (tmp_path / "training.csv").write_text("\n".join([HEADER, *ROWS]) + "\n")
    return tmp_path


def write_table(folder, *rows, header=HEADER):
    path = folder / "other.csv"
    path.write_text("\n".join([header, *rows]))
    return path


def test_affect_table(folder):
    data = load_affect_table(folder / "training.csv")
    assert data.paths.tolist() == [folder / "1/a.png", folder / "2/c.png"]
    np.testing.assert_array_equal(data.target, [[0.9, 0.2], [-0.5, 0.7]])
    np.testing.assert_array_equal(data.valence, [0.9, -0.5])
    np.testing.assert_array_equal(data.arousal, [0.2, 0.7])
    assert data.labels.tolist() == ["happy", "angry"]
    assert data.row.tolist() == [0, 2]
    assert data.n_dropped == 2
    assert "2 rows without a rating" in data.DESCR


def test_compressed_affect_table_and_data_frame(folder):
    paths, affect = load_affect_table(folder / "training.csv", return_X_y=True)
    with gzip.open(folder / "t.csv.gz", "wt") as file:
        file.write((folder / "training.csv").read_text())
    table = pd.read_csv(folder / "training.csv")
    for source, where in ((folder / "t.csv.gz", None), (table, folder)):
        data = load_affect_table(source, folder=where)
        assert data.paths.tolist() == paths.tolist()
        np.testing.assert_array_equal(data.target, affect)
        assert data.labels.tolist() == ["happy", "angry"]
    with pytest.raises(ValueError, match="folder is the folder of the images of a DataFrame"):
        load_affect_table(table)


def test_columns_of_an_affect_table(folder):
    path = write_table(folder, "1/a.png,9,1,joy", "2/c.png,-2,5,Karuna", header="file,v,a,shown")
    columns = {"image": "file", "valence": "v", "arousal": "a"}
    data = load_affect_table(path, **columns, expression="shown", missing=None)
    assert data.labels.tolist() == ["happy", "Karuna"]
    np.testing.assert_array_equal(data.target, [[9, 1], [-2, 5]])
    assert load_affect_table(path, **columns).labels is None


@pytest.mark.parametrize(
    "outside", ["../x.png", "{folder}/../x.png", "1/../../x.png", "link/x.png"]
)
def test_paths_outside_the_folder(folder, outside):
    inner = folder / "inner"
    inner.mkdir()
    (folder / "x.png").write_bytes(b"x")
    os.symlink(folder, inner / "link")
    path = write_table(folder, f"{outside.format(folder=inner)},0,1,0.1,0.1")
    with pytest.raises(ValueError, match=r"row 0: the image .* is outside of"):
        load_affect_table(path, folder=inner)


@pytest.mark.slow
def test_a_class_for_each_image(tmp_path):
    n = 150_000  # a search of the list for each row would take minutes
    (tmp_path / "a.png").touch()
    table = tmp_path / "table.csv"
    table.write_text("image,label\n" + "".join(f"a.png,{row}\n" for row in range(n)))
    data = load_image_table(table, image="image", label="label")
    assert data.target_names[data.target].tolist() == [str(row) for row in range(n)]


def test_long_names_are_shortened_in_errors(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text(f"image,label\n{'a' * 5000},happy\n")
    with pytest.raises(ValueError, match="row 0: there is no image '") as error:
        load_image_table(table, image="image", label="label")
    assert len(str(error.value)) < 1000
    table.write_text(",".join(f"c{column}" for column in range(9000)))
    with pytest.raises(ValueError, match="has no column 'image'; it has") as error:
        load_image_table(table, image="image", label="label")
    assert len(str(error.value)) < 1000


def test_link_out_of_the_folder(folder):
    inner = folder / "inner"
    inner.mkdir()
    os.symlink(folder / "1/a.png", inner / "a.png")
    path = write_table(folder, "a.png,0,1,0.1,0.1")
    with pytest.raises(ValueError, match="outside of"):
        load_affect_table(path, folder=inner)
    assert load_affect_table(path, folder=folder / "1").paths[0].name == "a.png"


def test_missing_tables_folders_and_columns(folder):
    with pytest.raises(ValueError, match="There is no file"):
        load_affect_table(folder / "absent.csv")
    with pytest.raises(ValueError, match="There is no folder"):
        load_affect_table(folder / "training.csv", folder=folder / "absent")
    with pytest.raises(ValueError, match=r"has no column 'v'; it has \['subDirectory_filePath'"):
        load_affect_table(folder / "training.csv", valence="v")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["1/a.png,0,1,high,0.1"], "row 0: valence is 'high', not a number"),
        (["1/a.png,0,1,0.1,inf"], "row 0: arousal is infinite"),
        (["1/a.png,0,11,0.1,0.1"], "row 0: the expression is '11'; AffectNet's codes are 0 to 10"),
        (["1/a.png,0,1,0.1"], "row 0 has 4 cells, the first line 5"),
        (["1/a.png,0,1,0,0", "1/z.png,0,1,0,0"], "row 1: there is no image .* 1 of 2 are missing"),
        (["1/a.png,0,1,-2,-2"], "1 rows, and none has both ratings"),
        ([], "0 rows, and none"),
    ],
)
def test_invalid_ratings(folder, rows, message):
    with pytest.raises(ValueError, match=message):
        load_affect_table(write_table(folder, *rows))


@pytest.fixture
def write_faces(tmp_path):
    def write(*names, folder="images"):
        faces = make_faces(len(names), random_state=0)
        for name, image in zip(names, faces.images, strict=True):
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(path), image)
        return tmp_path / folder

    return write


def join_lines(*lines):
    return "\n".join(lines) + "\n"


RAF_DB = [
    *("train_00001.jpg 1", "train_00002.jpg 2", "train_00003.jpg 3", "train_00004.jpg 4"),
    *("test_0001.jpg 5", "test_0002.jpg 6", "test_0003.jpg 7"),
]


@pytest.mark.parametrize("ending", ["", " ", " 0"])
def test_raf_db_layout(tmp_path, write_faces, ending):
    names = [line.split()[0].replace(".jpg", "_aligned.jpg") for line in RAF_DB]
    folder = write_faces(*names, folder="Image/aligned")
    table = tmp_path / "EmoLabel" / "list_patition_label.txt"
    table.parent.mkdir()
    table.write_text("\r\n".join(line + ending for line in RAF_DB), newline="")
    data = load_image_table(
        table,
        image=0,
        label=1,
        folder=folder,
        codes="raf-db",
        names="raf-db",
        file_name=lambda name: name.replace(".jpg", "_aligned.jpg"),
    )
    assert [path.name for path in data.paths] == names
    assert data.labels.tolist() == [
        *("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral")
    ]
    assert data.target_names[data.target].tolist() == data.labels.tolist()
    assert data.usage.tolist() == ["Training"] * 4 + ["Test"] * 3
    assert cv2.imread(str(data.paths[0]), cv2.IMREAD_GRAYSCALE).shape == (48, 48)


AFFECTNET_NAMES = [f"{code}/{'abcdefghijk'[code]}.jpg" for code in range(11)]


@pytest.mark.parametrize("ratings", [True, False])
def test_affectnet_layout(tmp_path, write_faces, ratings):
    folder = write_faces(*AFFECTNET_NAMES, folder="Manually_Annotated_Images")
    header = (
        "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression"
    )
    lines = [
        f"{name},0,0,48,48,1.5;2.5;3.5,{code}" + (",0.1,-0.2" if ratings else "")
        for code, name in enumerate(AFFECTNET_NAMES)
    ]
    table = tmp_path / "training.csv"
    table.write_text(join_lines(header + ",valence,arousal" * ratings, *lines))
    data = load_image_table(
        table, image="subDirectory_filePath", label="expression", folder=folder, codes="affectnet"
    )
    assert data.labels.tolist() == [
        *("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt")
    ]
    assert (data.n_dropped, data.row.tolist()) == (3, list(range(8)))
    assert "3 rows of other labels are left out" in data.DESCR
    data = load_image_table(
        *(table,),
        **{"image": "SUBDIRECTORY_FILEPATH", "label": " Expression", "folder": folder},
        codes="affectnet",
        classes=["neutral", "happiness"],
    )
    assert data.target_names.tolist() == ["neutral", "happy"]
    assert (data.target.tolist(), data.n_dropped) == ([0, 1], 9)


def test_ck_plus_layout(write_faces):
    names = [f"S{n:03}/001/S{n:03}_001_{n:08}.png" for n in range(1, 4)]
    folder = write_faces(*names, folder="cohn-kanade-images")
    table = pd.DataFrame({"image": names, "label": ["   3.0000000e+00\n", 5, "7.0"]})
    data = load_image_table(
        table, image="image", label="label", folder=folder, codes="ck+", names="ck+"
    )
    assert data.labels.tolist() == ["disgust", "happy", "surprise"]
    assert data.subjects.tolist() == ["S001", "S002", "S003"]
    assert data.frames.tolist() == [1, 2, 3]


def test_one_hot_columns(write_faces):
    folder = write_faces("a.png", "b.png")
    path = folder / "_classes.csv"
    path.write_text(join_lines("filename, Angry, Happiness", "a.png, 0, 1", "b.png, 1, 0"))
    columns = {"image": "filename", "label": ["Angry", "Happiness"]}
    assert load_image_table(path, **columns).labels.tolist() == ["happy", "angry"]
    path.write_text(join_lines("filename, Angry, Happiness", "a.png, 0, 1", "b.png, 0, 0"))
    with pytest.raises(ValueError, match="row 1: 0 of the columns"):
        load_image_table(path, **columns)


def test_subjects_and_usage(write_faces):
    names = [f"{n}.png" for n in range(8)]
    table = pd.DataFrame(
        {
            "path": [str(write_faces(*names) / name) for name in names],
            "emotion": ["Happiness", "SAD"] * 4,
            "person": np.repeat([1, 2, 3, 4], 2),
            "split": ["train"] * 4 + ["val"] * 2 + ["Test"] * 2,
        }
    )
    data = load_image_table(table, image="path", label="emotion", subject="person", usage="split")
    assert data.labels.tolist() == ["happy", "sad"] * 4
    assert data.subjects.tolist() == ["1", "1", "2", "2", "3", "3", "4", "4"]
    assert data.usage.tolist() == ["Training"] * 4 + ["Validation"] * 2 + ["Test"] * 2
    scores = cross_val_score(
        DummyClassifier(), data.paths, data.labels, groups=data.subjects, cv=GroupKFold(4)
    )
    assert scores.tolist() == [0.5] * 4
    as_given = load_image_table(table, image="path", label="emotion", normalize=False)
    assert as_given.labels.tolist() == ["Happiness", "SAD"] * 4
    X, y = load_image_table(table, image="path", label="emotion", return_X_y=True)
    assert (X.tolist(), y.tolist()) == (data.paths.tolist(), data.labels.tolist())


@pytest.mark.parametrize("delimiter", [",", ";", "\t", " "])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_delimiters_and_byte_order_mark(write_faces, delimiter, encoding):
    folder = write_faces("a.png", "sub/b.png")
    rows = [("file", "label", "by"), ("a.png", "happy", "x"), ("sub\\b.png", "sad", "y")]
    path = folder / "labels.txt"
    path.write_text(join_lines(*(delimiter.join(row) for row in rows)), encoding=encoding)
    data = load_image_table(path, image="file", label="label")
    assert data.paths.tolist() == [folder / "a.png", folder / "sub/b.png"]
    assert data.labels.tolist() == ["happy", "sad"]
    with pytest.raises(ValueError, match=r"no column 'emotion'; it has \['file', 'label', 'by'\]"):
        load_image_table(path, image="file", label="emotion")


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        (["a.png,happy", "b.png,"], {}, "row 1: the label is missing"),
        (["a.png,happy", "b.png,nan"], {}, "row 1: the label is missing"),
        (["a.png,8"], {"codes": "raf-db"}, "row 0: the label is '8'; the codes are 1 surprise, 2"),
        (["a.png,happy", "c.png,sad"], {}, "row 1: there is no image '.*c.png'; 1 of 2"),
        (["a.png,happy,x"], {}, "row 0 has 3 cells, the first line 2"),
        (["../a.png,happy"], {}, "row 0: the image '../a.png' is outside of"),
        (["a.png,happy"], {"label": "emotion"}, r"no column 'emotion'; it has \['file', 'label'"),
        (["a.png,happy"], {"subject": "person"}, "no column 'person'"),
        (["a.png,happy"], {"usage": "label"}, "row 0: usage is 'happy'; expected Training"),
        (["a.png,happy"], {"classes": ["sad"]}, r"no row has the label 'sad'; the .* \['happy'\]"),
        (["a.png,happy"], {"classes": ["happy", "joy"]}, "classes names one twice"),
        (["a.png,happy"], {"classes": "happy"}, r"must be a list, such as \['happy'\]"),
        (["a.png,happy"], {"names": "ck+"}, r"'.*a.png'\) does not fit the pattern 'ck\+'"),
        ([], {}, "0 rows, and none with a label"),
    ],
)
def test_invalid_labels(write_faces, lines, options, message):
    folder = write_faces("a.png", "b.png")
    path = folder / "labels.csv"
    path.write_text(join_lines("file,label", *lines))
    with pytest.raises(ValueError, match=message):
        load_image_table(path, **{"image": "file", "label": "label", **options})


def test_missing_cells_of_a_data_frame(write_faces):
    folder = write_faces("a.png", "b.png")
    table = pd.DataFrame({"file": ["a.png", "b.png"], "label": ["happy", None], "who": [1, np.nan]})
    with pytest.raises(ValueError, match="The table, row 1: the label is missing"):
        load_image_table(table, image="file", label="label", folder=folder)
    table["label"] = "happy"
    with pytest.raises(ValueError, match="The table, row 1: 'who' is missing"):
        load_image_table(table, image="file", label="label", subject="who", folder=folder)
    data = load_image_table(table, image="file", label="label", folder=folder)
    assert data.DESCR == "2 images listed in a DataFrame: happy 2."
    table["file"] = ["a.png", np.nan]
    with pytest.raises(ValueError, match="The table, row 1: the path is missing"):
        load_image_table(table, image="file", label="label", folder=folder)


def test_spreadsheet(tmp_path):
    path = tmp_path / "labels.xlsx"
    path.write_bytes(b"PK\x03\x04\xff\xfe" + bytes(100))
    with pytest.raises(ValueError, match=r"labels\.xlsx' is not text in UTF-8.*read_excel"):
        load_image_table(path, image="file", label="label")


def test_classes_that_are_synonyms_in_codes(write_faces):
    folder = write_faces("a.png", "b.png", "c.png")
    table = pd.DataFrame({"path": ["a.png", "b.png", "c.png"], "label": [1, 2, 1]})
    codes = {1: "anger", 2: "happy"}
    columns = {"image": "path", "label": "label", "folder": folder}
    for classes in (None, ["anger", "happy"]):
        data = load_image_table(table, codes=codes, classes=classes, **columns)
        assert data.labels.tolist() == ["anger", "happy", "anger"]


@pytest.mark.parametrize("cell", ["", None, float("nan")])
def test_missing_expression_of_affectnet(write_faces, cell):
    folder = write_faces("a.png", "b.png")
    table = pd.DataFrame(
        {"subDirectory_filePath": ["a.png", "b.png"], "expression": [1, cell]}
        | {"valence": [0.1, 0.2], "arousal": [0.1, 0.2]}
    )
    with pytest.raises(ValueError, match="row 1: the expression is missing"):
        load_affect_table(table, folder=folder)
