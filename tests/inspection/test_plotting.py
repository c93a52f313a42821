import inspect
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from skfer import inspection
from skfer.evaluation import group_report, leak_audit

CLASS_METHODS = [
    pytest.param(method, id=f"{name}.{method_name}")
    for name, display in vars(inspection).items()
    if name.endswith("Display")
    for method_name, method in inspect.getmembers(display, inspect.ismethod)
]
IMAGES = np.zeros((3, 8, 8), np.uint8)
MATRIX = pd.DataFrame(
    {
        **{"estimator": ["a"], "dataset": ["FER2013"], "metric": ["accuracy"], "value": [0.7]},
        **{"low": [0.6], "high": [0.8], "images": [100], "n_labels": [7]},
    }
)
Y, PROBA = ["a", "b", "a"], [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]]
INTO_AXES = {
    "circumplex": lambda ax: inspection.CircumplexDisplay([[0.1, 0.2]], [[0.2, 0.3]]).plot(ax),
    "class balance": lambda ax: inspection.ClassBalanceDisplay.from_labels(Y, ax=ax),
    "coverage": lambda ax: inspection.CoverageDisplay.from_predictions(Y, PROBA, ax=ax),
    "cross-dataset": lambda ax: inspection.CrossDatasetDisplay(MATRIX).plot(ax),
    "groups": lambda ax: inspection.GroupDisplay(group_report(Y * 20, Y * 20, groups=Y * 20)).plot(
        ax
    ),
    "history": lambda ax: inspection.HistoryDisplay.from_histories({"a": {"loss": [1.0]}}, ax=ax),
    "image grid": lambda ax: inspection.ImageGridDisplay.from_data(IMAGES, Y, ax=ax),
    "leaks": lambda ax: inspection.LeakDisplay.from_audit(
        leak_audit(IMAGES, IMAGES), IMAGES, IMAGES, ax=ax
    ),
    "maps": lambda ax: inspection.MapDisplay(np.ones((3, 8, 8)), IMAGES).plot(ax),
    "network": lambda ax: inspection.plot_network("cnn4", ax),
    "regions": lambda ax: inspection.RegionImportanceDisplay([[0.1, 0.2]], ["mouth"]).plot(ax),
    "reliability": lambda ax: inspection.ReliabilityDisplay.from_predictions(Y, PROBA, ax=ax),
}
NEW_FIGURES = {
    "prediction sets": inspection.PredictionSetDisplay(
        [1], [0, 1], classes=["a"], mean_coverage=1
    ).plot,
    "robustness": inspection.RobustnessDisplay(
        pd.DataFrame(
            {"corruption": ["noise"], "strength": 1, "level": 0.1, "unit": "", "accuracy": 0.5}
        )
    ).plot,
}


@pytest.fixture
def no_matplotlib(monkeypatch):
    for name in ("matplotlib", "matplotlib.pyplot"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.parametrize("name", INTO_AXES)
def test_axes(name):
    _, axis = plt.subplots()
    display = INTO_AXES[name](axis)
    assert getattr(display, "ax_", None) is axis or display.axes_.tolist() == [axis]
    assert display.figure_ is axis.figure


@pytest.mark.parametrize("draw", [*INTO_AXES.values(), *NEW_FIGURES.values()])
def test_missing_matplotlib(draw, no_matplotlib):
    arguments = [None] if draw in INTO_AXES.values() else []
    with pytest.raises(ImportError, match=r'(Display\.|plot_network).*pip install "skfer\[plot\]"'):
        draw(*arguments)


@pytest.mark.parametrize("method", CLASS_METHODS)
def test_missing_matplotlib_in_class_methods(method, no_matplotlib):
    parameters = inspect.signature(method).parameters.values()
    # The error comes before the arguments, all None, are used.
    required = [p for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    arguments = [None] * len(required)
    name = f"{method.__self__.__name__}.{method.__name__}"
    with pytest.raises(ImportError, match=rf'{name}.*pip install "skfer\[plot\]"'):
        method(*arguments)
