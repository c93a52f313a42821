import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skfer import FaceCropper, GrayscaleResizer, HOGDescriptor
from skfer.datasets import make_faces


@pytest.mark.parametrize(
    "X",
    [
        pd.DataFrame({"path": ["a.png", "b.png"]}),
        pd.DataFrame({"path": ["a.png"], "age": [30]}),
        pd.DataFrame({"image": [np.zeros((4, 4))] * 2}),
        np.array([["a.png"], ["b.png"]]),
        [["a.png"], ["b.png"]],
    ],
)
def test_tables_of_images(X):
    with pytest.raises(ValueError, match=r"type (str|str_|ndarray), .*give the column itself"):
        GrayscaleResizer().fit(X)


def test_files_as_arrays_of_bytes():
    files = [cv2.imencode(".png", np.full((9, 9 + n), n, np.uint8))[1] for n in range(2)]
    with pytest.raises(ValueError, match=r"give a list of X\[0\]\.tobytes\(\)"):
        GrayscaleResizer().transform(files)


def test_object_arrays_of_numbers():
    rows = np.arange(8.0).reshape(2, 4)
    np.testing.assert_array_equal(
        GrayscaleResizer(8).fit_transform(rows.astype(object)), GrayscaleResizer(8).transform(rows)
    )


def test_n_features_in_of_tables_and_photos():
    table = pd.DataFrame(np.zeros((2, 9)), columns=list("abcdefghi"))
    photo = np.zeros((30, 20), np.uint8)
    resizer = GrayscaleResizer().fit(table)
    assert resizer.n_features_in_ == 9
    resizer.fit([photo])
    assert not hasattr(resizer, "n_features_in_")
    assert not hasattr(resizer, "feature_names_in_")
    assert resizer.transform(np.zeros((2, 16))).shape == (2, 48, 48, 1)


def test_unknown_output_container():
    with pytest.raises(ValueError, match="transform='arrow' must be one of"):
        GrayscaleResizer().set_output(transform="arrow")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* no face found")
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_output_containers(library):
    frames = pytest.importorskip(library)
    faces = make_faces(20, classes=["happy", "sad"], scene=True, random_state=0)
    steps = [FaceCropper(whole_below=64), GrayscaleResizer(48), HOGDescriptor()]
    plain = make_pipeline(*steps).fit(faces.images)
    tables = make_pipeline(*map(clone, steps)).set_output(transform=library).fit(faces.images)
    images = tables[:-1].transform(faces.images)
    assert type(images) is np.ndarray
    np.testing.assert_array_equal(images, plain[:-1].transform(faces.images))
    table = tables.transform(faces.images)
    assert type(table) is frames.DataFrame
    np.testing.assert_array_equal(np.asarray(table), plain.transform(faces.images))
    classifier = make_pipeline(*map(clone, steps), LogisticRegression()).set_output(
        transform=library
    )
    assert classifier.fit(faces.images, faces.labels).predict(faces.images).shape == (20,)
    with config_context(transform_output=library):
        assert type(plain[:-1].transform(faces.images)) is np.ndarray
        assert type(plain.transform(faces.images)) is frames.DataFrame


@pytest.mark.filterwarnings("ignore:.* no face found")
@pytest.mark.parametrize("index", [[3, 2, 1, 0], list("abcd")])
def test_column_transformer(index):
    images = make_faces(4, random_state=0).images
    table = pd.DataFrame({"image": list(images), "age": np.arange(4.0)}, index=index)
    steps = FaceCropper(whole_below=64), GrayscaleResizer(32), HOGDescriptor()
    features = make_pipeline(*map(clone, steps)).fit_transform(images)
    columns = ColumnTransformer(
        [("face", make_pipeline(*steps), "image"), ("age", "passthrough", ["age"])]
    ).set_output(transform="pandas")
    out = columns.fit_transform(table)
    assert out.index.tolist() == index
    np.testing.assert_allclose(out.to_numpy(), np.column_stack([features, np.arange(4.0)]))
    assert out.columns.tolist() == columns.get_feature_names_out().tolist()
    assert out.columns[[0, -1]].tolist() == ["face__hogdescriptor0", "age__age"]
