"""Files that earlier releases saved, and what they hold that an older scikit-learn doesn't know."""

from __future__ import annotations

import json
from pathlib import Path

import sklearn
from sklearn.utils.fixes import parse_version

MODELS = sorted(Path(__file__).parent.joinpath("persistence", "models").glob("*.skfer"))


def told_of(path: Path) -> dict:
    """What a model answered when it was saved, and what it needs."""
    return json.loads(path.with_suffix(".json").read_text())


def is_too_new(path: Path) -> bool:
    """Whether it holds parameters that this scikit-learn refuses.

    LogisticRegression has a penalty "deprecated" since scikit-learn 1.8.
    """
    needed = told_of(path).get("scikit-learn", "0")
    return parse_version(sklearn.__version__) < parse_version(needed)
