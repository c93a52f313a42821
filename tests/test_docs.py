import importlib
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import make_pipeline
from test_docstrings import NAMES

import skfer
from skfer import AbstainingClassifier, ConformalClassifier, FaceCropper, GrayscaleResizer
from skfer._utils import SITE

ROOT = Path(__file__).parent.parent
PACKAGES = (
    *("datasets", "detection", "distributed", "evaluation", "inspection", "metrics"),
    *("model_selection", "networks", "recognition", "video", "web"),
)
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


def reference():
    package, names = "", set()
    for line in (ROOT / "docs" / "api" / "index.rst").read_text(encoding="utf-8").splitlines():
        if module := re.fullmatch(r"\.\. currentmodule:: (\S+)", line):
            package = module[1]
        elif name := re.fullmatch(r"   (\w+)|\.\. autodata:: (\w+)", line):
            names.add(f"{package}.{name[1] or name[2]}")
    return names


def public_names():
    top_level = set(skfer.__all__) - {"__version__"}
    names = {f"skfer.{name}" for name in top_level}
    for package in PACKAGES:
        exported = importlib.import_module(f"skfer.{package}").__all__
        names |= {f"skfer.{package}.{name}" for name in exported if name not in top_level}
    return names


def test_api_reference():
    # skfer.video re-exports FollowedFace of skfer.recognition.
    assert reference() == public_names() - {"skfer.video.FollowedFace"}


def test_tests_named_in_reliability():
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    code = "".join(file.read_text(encoding="utf-8") for file in ROOT.glob("tests/**/test_*.py"))
    assert set(re.findall(r"`(test_\w+)`", text)) <= set(re.findall(r"def (test_\w+)", code))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_between_pages(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", text):
        # The build of the site creates the gallery and its figures.
        built = target in ("gallery/index.rst", "../gallery/index.rst", "benchmarks/index.rst")
        if example := re.search(
            r"gallery/(?:images/sphx_glr_)?(plot_[a-z0-9_]+?)(?:_\d{3}\.png|\.rst)$", target
        ):
            built = (ROOT / "examples" / f"{example[1]}.py").exists()
        assert built or (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_docs_environment(tmp_path):
    plan = subprocess.run(
        ["make", "--dry-run", "docs", f"VENV={tmp_path}/venv"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "--editable '.[dev,docs]'" in plan
    assert "-b html docs build/html" in plan


ESTIMATORS = [
    name
    for name, public in NAMES.items()
    if isinstance(public, type) and issubclass(public, BaseEstimator)
]
# Pages that are named in the source, and a file that names them.
NAMED = {
    name: file
    for file in sorted(ROOT.glob("skfer/**/*.py"))
    for name in re.findall(r"""\{page\(['"]([^'"]+)['"]\)\}""", file.read_text(encoding="utf-8"))
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_link_of_an_estimator(name):
    cls = NAMES[name]
    needs_estimator = cls in (AbstainingClassifier, ConformalClassifier)
    html = (cls(DummyClassifier()) if needs_estimator else cls())._repr_html_()
    assert f'href="{SITE}/api/generated/{name}.html"' in html


def test_links_of_a_pipeline():
    html = make_pipeline(FaceCropper(), GrayscaleResizer(), DummyClassifier())._repr_html_()
    for step in ("FaceCropper", "GrayscaleResizer"):
        assert f'href="{SITE}/api/generated/skfer.{step}.html"' in html
    assert "https://scikit-learn.org/" in html


def test_subclass_has_no_link():
    class Subclass(FaceCropper):
        pass

    assert SITE not in Subclass()._repr_html_()


def test_site_address_in_errors_and_project():
    blank = np.zeros((1, 64, 64), np.uint8)
    with pytest.raises(ValueError, match=rf"See {SITE}/guide/own_photos\.html$"):
        FaceCropper(on_missing="raise").transform(blank)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["urls"]["Documentation"] == SITE


@pytest.mark.parametrize("name", NAMED)
def test_pages_named_by_errors(name):
    assert (ROOT / "docs" / f"{name}.md").is_file(), f"{NAMED[name].name} names docs/{name}.md"


MEGABYTE = 2**20


def test_versions():
    newest = re.search(r"^## \[(\d\S*)\] - (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    citation = (ROOT / "CITATION.cff").read_text()
    assert newest[1] == skfer.__version__
    assert f"\nversion: {newest[1]}\ndate-released: {newest[2]}\n" in citation


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    for kind in ("wheel", "sdist"):
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)],
            cwd=ROOT,
            check=True,
            capture_output=True,
        )
    return folder


def test_wheel(built):
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert wheel.stat().st_size < 4.5 * MEGABYTE
    weights = ("fer2013.json", "ferplus.json", "mini_resnet.onnx")
    assert {"skfer/py.typed", *(f"skfer/weights/{name}" for name in weights)} <= {*names}
    assert {name.split("/")[0] for name in names} == {
        "skfer",
        f"skfer-{skfer.__version__}.dist-info",
    }


def test_source_archive(built):
    (archive,) = built.glob("*.tar.gz")
    top = f"skfer-{skfer.__version__}"
    with tarfile.open(archive) as file:
        names = {name.removeprefix(f"{top}/") for name in file.getnames()}
    for name in ("tests/conftest.py", "docs/index.md", "examples/demo.py", "Makefile"):
        assert name in names
    assert not [name for name in names if name.startswith(("build/", ".venv", "dist/"))]
