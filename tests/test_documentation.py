import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import make_pipeline
from test_docstrings import NAMES

from skfer import AbstainingClassifier, ConformalClassifier, FaceCropper, GrayscaleResizer
from skfer._utils import SITE

ROOT = Path(__file__).parent.parent
ESTIMATORS = [
    name
    for name, public in NAMES.items()
    if isinstance(public, type) and issubclass(public, BaseEstimator)
]
# The pages that the source names, each with a file that does.
NAMED = {
    name: file
    for file in sorted(ROOT.glob("skfer/**/*.py"))
    for name in re.findall(r"""\{page\(['"]([^'"]+)['"]\)\}""", file.read_text(encoding="utf-8"))
}


def new(cls):
    return cls(DummyClassifier()) if cls in (AbstainingClassifier, ConformalClassifier) else cls()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimator_links_to_its_page(name):
    html = new(NAMES[name])._repr_html_()
    assert f'href="{SITE}/api/generated/{name}.html"' in html


def test_a_pipeline_links_to_the_page_of_each_step():
    html = make_pipeline(FaceCropper(), GrayscaleResizer(), DummyClassifier())._repr_html_()
    for step in ("FaceCropper", "GrayscaleResizer"):
        assert f'href="{SITE}/api/generated/skfer.{step}.html"' in html
    assert "https://scikit-learn.org/" in html


def test_a_class_of_the_users_has_no_page():
    class Mine(FaceCropper):
        pass

    assert SITE not in Mine()._repr_html_()


@pytest.mark.parametrize("name", NAMED)
def test_a_page_that_an_error_names_is_there(name):
    assert (ROOT / "docs" / f"{name}.md").is_file(), f"{NAMED[name].name} names docs/{name}.md"


def test_an_error_ends_in_the_address_of_its_page():
    blank = np.zeros((1, 64, 64), np.uint8)
    with pytest.raises(ValueError, match=rf"See {SITE}/guide/own_photos\.html$"):
        FaceCropper(on_missing="raise").transform(blank)


def test_the_package_names_the_same_site():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["urls"]["Documentation"] == SITE
