"""Coverage and size of prediction sets."""

from __future__ import annotations

import numpy as np
import pytest

from skfer.metrics import prediction_set_score

SETS = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 1, 1]], bool)


def test_what_is_counted():
    score = prediction_set_score(["a", "b", "c", "d"], SETS, labels=["a", "b", "c"])
    assert score == (0.5, 1.5, 0.25, 0.25)


def test_columns_are_named_in_any_order():
    assert prediction_set_score(["b"], SETS[:1], labels=["b", "c", "a"]).coverage == 1
    assert prediction_set_score(["b"], SETS[:1], labels=["a", "b", "c"]).coverage == 0


@pytest.mark.parametrize("sets", [SETS.astype(int), SETS[:2], SETS[:, :2], SETS[0]])
def test_what_are_no_sets_is_refused(sets):
    with pytest.raises(ValueError, match="y_set has the shape"):
        prediction_set_score(["a", "b", "c", "d"], sets, labels=["a", "b", "c"])
