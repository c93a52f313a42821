import math

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier

from skfer import AbstainingClassifier, ConformalClassifier
from skfer._labels import label_array
from skfer.datasets import (
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


def test_expression_sets_and_labels():
    labels = canonical_labels(np.array(AFFECTNET))
    assert set(labels) == set(EXPRESSIONS)
    assert [len(names) for names in EXPRESSION_SETS.values()] == [5, 7, 8]
    for names in EXPRESSION_SETS.values():
        assert list(names) == [name for name in EXPRESSIONS if name in names]
    assert shared_labels(AFFECTNET, EXPRESSION_SETS[5]) == list(EXPRESSION_SETS[5])
    assert shared_labels(AFFECTNET, KATHAK) == ["angry", "happy"]
    assert shared_labels(["Karuna", "sad"], KATHAK) == ["Karuna"]
    for y in [
        ["b", "a"],
        [1, 0],
        np.array(["b", "a"], dtype=object),
        pd.Categorical(["b", "a"]),
        [True, 0],
    ]:
        assert label_array(y).tolist() == list(y)
        assert label_array(np.reshape(np.asarray(y), (2, 1))).tolist() == list(y)
    for y in [np.eye(3), np.eye(3, dtype=int).tolist(), pd.DataFrame(np.eye(3))]:
        with pytest.raises(ValueError, match=r"argmax\(axis=1\).*votes"):
            label_array(y)


MISSING = [None, math.nan, np.float64("nan"), pd.NA, pd.NaT, "", "  ", "nan"]


@pytest.mark.parametrize("missing", MISSING, ids=repr)
@pytest.mark.parametrize(
    "container",
    [list, tuple, lambda y: np.array(y, dtype=object), lambda y: pd.Series(y, dtype=object)],
    ids=["list", "tuple", "array", "series"],
)
def test_missing_label_is_named(container, missing):
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
def test_missing_label_is_named_in_typed_arrays(y):
    with pytest.raises(ValueError, match=r"^y\[2\] is .*: 1 of 4 labels are missing"):
        label_array(y)


@pytest.mark.parametrize("y", [["happy", "sad", math.nan], ["happy", "sad", ""], ("a", None, "b")])
def test_missing_label_is_named_by_metrics_and_reports(y):
    named = r"\[\d\] is .*: 1 of 3 labels are missing"
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
        with pytest.raises(ValueError, match=named):
            call()
