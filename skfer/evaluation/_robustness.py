"""`robustness_report`: how a fitted Pipeline does as its images get worse."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import check_scoring
from sklearn.utils import check_random_state

from skfer._extras import import_extra
from skfer.evaluation._corruptions import CORRUPTIONS, corrupt_images, known_corruption

if TYPE_CHECKING:
    import pandas as pd


def robustness_report(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    corruptions: str | Sequence[str] | Mapping[str, Sequence[float]] | None = None,
    scoring: str | Callable | Sequence[str] = "accuracy",
    random_state: int | np.random.RandomState | None = 0,
) -> pd.DataFrame:
    """Score a fitted estimator on images that get worse step by step.

    Parameters
    ----------
    estimator : fitted classifier, regressor or Pipeline
        A Pipeline is given the images as they are, before any cropping.
    X : batch of n images
        Images that the estimator was not fitted on.
    y : array-like of shape (n,)
        Their labels.
    corruptions : str, sequence of str or dict, default=None
        Names from `CORRUPTIONS`; a dict gives levels of one's own by name. None is all of them,
        at five levels each.
    scoring : str, callable or sequence of str, default="accuracy"
        As in `sklearn.model_selection.cross_validate`.
    random_state : int, RandomState instance or None, default=0
        Decides noise, places and directions; the same at every level.

    Returns
    -------
    DataFrame
        A row for the images as they are (corruption "none", strength 0) and one for each
        corruption and level, with the columns

        corruption : str
            Its name in `CORRUPTIONS`.
        strength : int
            1 for the first level.
        level : float
            How much of it, in the unit beside it.
        unit : str
            What the level counts.
        images : int
            Images that the scores are of.
        one column for each score : float
            Called as in `scoring`; "score" for a callable.
        one more, with "_change" after it : float
            The same less that of the images as they are.

    Raises
    ------
    ValueError
        If a corruption is unknown or has no levels.
    ImportError
        If pandas is not installed.

    See Also
    --------
    skfer.inspection.RobustnessDisplay : The report as a picture.

    References
    ----------
    Hendrycks, D. & Dietterich, T. (2019). Benchmarking neural network robustness to common
    corruptions and perturbations. ICLR.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from skfer.datasets import make_faces
    >>> from skfer.evaluation import robustness_report
    >>> faces = make_faces(20, classes=["happy", "sad"], random_state=0)
    >>> guess = DummyClassifier().fit(faces.images, faces.labels)
    >>> report = robustness_report(
    ...     guess, faces.images, faces.labels, corruptions={"noise": [0.1, 0.2]}
    ... )
    >>> report[["corruption", "strength", "level", "accuracy"]]
      corruption  strength  level  accuracy
    0       none         0    NaN       0.5
    1      noise         1    0.1       0.5
    2      noise         2    0.2       0.5
    """
    pd = import_extra("pandas", "robustness_report", "evaluation")
    levels = _levels(corruptions)
    score = _scorer(estimator, scoring)
    # Drawn once: what differs from row to row is to be the level alone.
    seed = int(check_random_state(random_state).randint(2**31 - 1))
    rows = [{"corruption": "none", "strength": 0, "level": np.nan, "unit": "", "images": len(X)}]
    scores = [score(X, y)]
    for name, steps in levels.items():
        for strength, level in enumerate(steps, start=1):
            changed = corrupt_images(X, name, level, random_state=seed)
            scores.append(score(changed, y))
            rows.append(
                {
                    "corruption": name,
                    "strength": strength,
                    "level": float(level),
                    "unit": CORRUPTIONS[name].unit,
                    "images": len(changed),
                }
            )
    table = pd.DataFrame(scores)
    changes = (table - table.iloc[0]).add_suffix("_change")
    return pd.concat([pd.DataFrame(rows), table, changes], axis=1)


def _levels(
    corruptions: str | Sequence[str] | Mapping[str, Sequence[float]] | None,
) -> dict[str, Sequence[float]]:
    if corruptions is None:
        corruptions = list(CORRUPTIONS)
    if isinstance(corruptions, str):
        corruptions = [corruptions]
    if not isinstance(corruptions, Mapping):
        return {name: known_corruption(name).levels for name in corruptions}
    for name, steps in corruptions.items():
        known_corruption(name)
        if not len(steps):
            raise ValueError(f"corruptions[{name!r}] has no levels: give at least 1, or the name.")
    return dict(corruptions)


def _scorer(
    estimator: Any, scoring: str | Callable | Sequence[str]
) -> Callable[[Any, Any], dict[str, float]]:
    if callable(scoring):
        return lambda X, y: {"score": float(scoring(estimator, X, y))}
    names = [scoring] if isinstance(scoring, str) else list(scoring)
    # One scorer of them all: it predicts once.
    every = check_scoring(estimator, scoring=names)
    return lambda X, y: {name: float(value) for name, value in every(estimator, X, y).items()}
