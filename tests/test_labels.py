from __future__ import annotations

import numpy as np
import pytest

from skfer.datasets import (
    EXPRESSION_SETS,
    EXPRESSIONS,
    canonical_label,
    canonical_labels,
    shared_labels,
)

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
def test_synonyms_have_one_name_and_other_names_stay(name, canonical):
    assert canonical_label(name) == canonical


def test_labels_of_a_data_set():
    labels = canonical_labels(np.array(AFFECTNET))

    assert set(labels) == set(EXPRESSIONS)


def test_sets_are_nested_and_keep_one_order():
    assert [len(names) for names in EXPRESSION_SETS.values()] == [5, 7, 8]
    for names in EXPRESSION_SETS.values():
        assert list(names) == [name for name in EXPRESSIONS if name in names]


def test_what_two_data_sets_share():
    assert shared_labels(AFFECTNET, EXPRESSION_SETS[5]) == list(EXPRESSION_SETS[5])
    assert shared_labels(AFFECTNET, KATHAK) == ["angry", "happy"]
    assert shared_labels(["Karuna", "sad"], KATHAK) == ["Karuna"]
