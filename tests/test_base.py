"""What is a table of rows, and what scikit-learn remembers of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from skfer import GrayscaleResizer


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
def test_a_table_with_a_column_of_images_is_no_batch(X):
    with pytest.raises(ValueError, match=r"type (str|str_|ndarray), .*give the column itself"):
        GrayscaleResizer().fit(X)


def test_a_table_of_numbers_may_hold_objects():
    rows = np.arange(8.0).reshape(2, 4)

    np.testing.assert_array_equal(
        GrayscaleResizer(8).fit_transform(rows.astype(object)), GrayscaleResizer(8).transform(rows)
    )


def test_a_fit_on_photos_forgets_the_table_of_the_fit_before():
    table = pd.DataFrame(np.zeros((2, 9)), columns=list("abcdefghi"))
    photo = np.zeros((30, 20), np.uint8)
    resizer = GrayscaleResizer().fit(table)
    assert resizer.n_features_in_ == 9

    resizer.fit([photo])

    assert not hasattr(resizer, "n_features_in_")
    assert not hasattr(resizer, "feature_names_in_")
    assert resizer.transform(np.zeros((2, 16))).shape == (2, 48, 48, 1)
