import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier

import skfer
from skfer import AbstainingClassifier, ConformalClassifier
from skfer._labels import label_array
from skfer.datasets import (
    EXPRESSION_COLORS,
    EXPRESSION_SETS,
    EXPRESSIONS,
    canonical_label,
    canonical_labels,
    shared_labels,
)
from skfer.evaluation import cross_val_label_report, group_report, label_noise, label_report
from skfer.metrics import expected_calibration_error, prediction_set_score, selective_score

AFFECTNET = ["anger", "contempt", "disgust", "fear", "happy", "neutral", "sad", "surprise"]
KATHAK = ["Shringara", "Happy", "Karuna", "Anger"]


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("anger", "angry"),
        ("Happiness", "happy"),
        (" SADNESS ", "sad"),
        ("surprised", "surprise"),
        ("fearful", "fear"),
        ("neutral", "neutral"),
        ("Shringara", "Shringara"),
    ],
)
def test_canonical_label(name, canonical):
    assert canonical_label(name) == canonical


def test_expression_sets():
    assert set(canonical_labels(np.array(AFFECTNET))) == set(EXPRESSIONS)
    assert [len(names) for names in EXPRESSION_SETS.values()] == [5, 7, 8]
    for names in EXPRESSION_SETS.values():
        assert list(names) == [name for name in EXPRESSIONS if name in names]


def test_shared_labels():
    assert shared_labels(AFFECTNET, EXPRESSION_SETS[5]) == list(EXPRESSION_SETS[5])
    assert shared_labels(AFFECTNET, KATHAK) == ["angry", "happy"]
    assert shared_labels(["Karuna", "sad"], KATHAK) == ["Karuna"]


@pytest.mark.parametrize(
    "y",
    [
        ["b", "a"],
        [1, 0],
        np.array(["b", "a"], dtype=object),
        pd.Categorical(["b", "a"]),
        [True, 0],
    ],
    ids=str,
)
def test_label_array(y):
    assert label_array(y).tolist() == list(y)
    assert label_array(np.reshape(np.asarray(y), (2, 1))).tolist() == list(y)


@pytest.mark.parametrize(
    "y", [np.eye(3), np.eye(3, dtype=int).tolist(), pd.DataFrame(np.eye(3))], ids=type
)
def test_one_hot_labels(y):
    with pytest.raises(ValueError, match=r"argmax\(axis=1\).*votes"):
        label_array(y)


def linear_light(colors):
    values = np.array([list(bytes.fromhex(color[1:])) for color in colors]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(colors, background):
    *lights, other = linear_light([*colors, background]) @ [0.2126, 0.7152, 0.0722] + 0.05
    return np.maximum(lights / other, other / lights)


# Machado, Oliveira & Fernandes (2009): full deuteranopia, protanopia and tritanopia.
VISION = {
    "normal": np.eye(3),
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


@pytest.mark.parametrize("vision", VISION)
def test_colour_vision_deficiency(vision):
    color = pytest.importorskip("skimage.color")
    perceived = np.clip(
        linear_light(EXPRESSION_COLORS.values()) @ np.transpose(VISION[vision]), 0, 1
    )
    lab = color.xyz2lab(perceived @ color.colorconv.xyz_from_rgb.T)
    rows, columns = np.triu_indices(len(lab), 1)
    assert color.deltaE_ciede2000(lab[rows], lab[columns]).min() > 12


def test_expression_colors():
    assert set(EXPRESSION_COLORS) == set(EXPRESSIONS)
    assert contrast(EXPRESSION_COLORS.values(), "#ffffff").min() > 2
    assert contrast(EXPRESSION_COLORS.values(), "#182026").min() > 2.5
    script = Path(skfer.__file__).parent / "web" / "static" / "expressions.js"
    colors = re.findall(r'(\w+): "(#[0-9a-f]{6})"', script.read_text(encoding="utf-8"))
    assert dict(colors) == EXPRESSION_COLORS


MISSING = [None, math.nan, np.float64("nan"), pd.NA, pd.NaT, "", "  ", "nan"]


@pytest.mark.parametrize("missing", MISSING, ids=repr)
@pytest.mark.parametrize(
    "container",
    [list, tuple, lambda y: np.array(y, dtype=object), lambda y: pd.Series(y, dtype=object)],
    ids=["list", "tuple", "array", "series"],
)
def test_missing_labels(container, missing):
    y = container(["happy", "sad", missing, "sad"])
    with pytest.raises(ValueError, match=r"^y\[2\] is .*: 1 of 4 labels are missing"):
        label_array(y)


@pytest.mark.parametrize(
    "y",
    [
        np.array(["happy", "sad", math.nan, "sad"]),
        np.array([1.0, 0.0, math.nan, 0.0]),
        np.array(["2020", "2021", "NaT", "2022"], dtype="datetime64[Y]"),
        np.ma.masked_array(["happy", "sad", "happy", "sad"], [0, 0, 1, 0]),
        pd.Categorical(["happy", "sad", None, "sad"]),
        pd.Series(["happy", "sad", math.nan, "sad"], dtype="category"),
        pd.Series(["happy", "sad", None, "sad"], dtype="string"),
        pd.Series(["happy", "sad", None, "sad"]),
        pd.Series([1, 0, None, 0], dtype="Int64"),
        pd.DataFrame({"label": ["happy", "sad", None, "sad"]}),
    ],
    ids=str,
)
def test_missing_labels_in_typed_arrays(y):
    with pytest.raises(ValueError, match=r"^y\[2\] is .*: 1 of 4 labels are missing"):
        label_array(y)


@pytest.mark.parametrize("y", [["happy", "sad", math.nan], ["happy", "sad", ""], ("a", None, "b")])
def test_missing_labels_in_metrics_and_reports(y):
    message = r"\[\d\] is .*: 1 of 3 labels are missing"
    proba = np.full((3, 2), 0.5)
    sets = np.ones((3, 2), bool)
    for call in (
        lambda: expected_calibration_error(y, proba),
        lambda: prediction_set_score(y, sets, labels=["happy", "sad"]),
        lambda: selective_score(y, y, abstention_label="unsure"),
        lambda: label_report(y, proba),
        lambda: label_noise(y, proba),
        lambda: group_report(y, ["happy"] * 3, groups=["a", "a", "b"]),
        lambda: canonical_labels(y),
        lambda: cross_val_label_report(DummyClassifier(), np.zeros((3, 1)), y, cv=2),
        lambda: ConformalClassifier(DummyClassifier()).fit(np.zeros((3, 1)), y),
        lambda: AbstainingClassifier(DummyClassifier()).fit(np.zeros((3, 1)), y),
    ):
        with pytest.raises(ValueError, match=message):
            call()
