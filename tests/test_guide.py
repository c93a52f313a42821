"""The guide's pages run as they stand, with less of everything."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("figures_in_memory")

GUIDE = Path(__file__).parent.parent / "docs" / "guide"
# What the tests have no time for, page by page. Each is on the page once.
LESS = {
    "model_selection.md": {
        "n_images = 800": "n_images = 320 if folder else 160",
        "n_splits = 3": "n_splits = 2",
        '"mini_xception", epochs=15': "tiny_network, epochs=3",
        "train_sizes=[0.25, 0.5, 1.0]": "train_sizes=[0.5, 1.0]",
        "range(3)": "range(2)",
    }
}


def run(page, namespace):
    """Run the blocks of a page one after another; an error names the page and its line."""
    text = (GUIDE / page).read_text(encoding="utf-8")
    for long, short in LESS.get(page, {}).items():
        assert text.count(long) == 1, f"{page} holds {long!r} {text.count(long)} times"
        text = text.replace(long, short)
    for block in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        lines_before = text[: block.start(1)].count("\n")
        exec(compile("\n" * lines_before + block[1], str(GUIDE / page), "exec"), namespace)
    return namespace


@pytest.fixture(params=["drawn faces", pytest.param("fer2013", marks=pytest.mark.real_data)])
def data(request, monkeypatch):
    """Whether the page finds real data."""
    if request.param == "fer2013":
        request.getfixturevalue("fer2013")
    else:
        monkeypatch.delenv("SKFER_DATA", raising=False)
    return request.param


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_model_selection(data, tiny_network, capsys):
    page = run("model_selection.md", {"tiny_network": tiny_network})
    n_classes = 4 if data == "drawn faces" else 7
    assert len(np.unique(page["y"])) == n_classes
    # Of 240 real faces, four show disgust: enough for folds within folds.
    assert len(page["X"]) == (120 if n_classes == 4 else 240)
    for curve in page["curves"].values():
        assert curve.test_scores.shape == (2, 2)
    assert len(page["nested"]["estimator"]) == 2
    assert set(page["right"]) == {
        *("network", "HOG and SVM", "stacked"),
        *("3 networks", "network and SVM"),
    }
    for model in page["fitted"].values():
        assert model.predict(page["X_test"]).shape == page["y_test"].shape
    assert page["right"]["stacked"].mean() > 1.2 / n_classes
    assert len(re.findall(r"accuracy 0\.\d+, gain [+-]", capsys.readouterr().out)) == 5
