import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import skfer

ROOT = Path(__file__).parent.parent
MEGABYTE = 2**20


def test_version_stands_in_changelog_and_citation():
    newest = re.search(r"^## \[(\d\S*)\] - (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    citation = (ROOT / "CITATION.cff").read_text()
    assert newest[1] == skfer.__version__
    assert f"\nversion: {newest[1]}\ndate-released: {newest[2]}\n" in citation


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel and the source archive, built by the tools of this environment."""
    folder = tmp_path_factory.mktemp("dist")
    for kind in ("wheel", "sdist"):
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)],
            cwd=ROOT,
            check=True,
            capture_output=True,
        )
    return folder


def test_wheel_is_small_and_holds_weights_and_types_but_no_tests(built):
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert wheel.stat().st_size < 4 * MEGABYTE
    weights = ("fer2013.json", "ferplus.json", "mini_resnet.onnx")
    assert {"skfer/py.typed", *(f"skfer/weights/{name}" for name in weights)} <= {*names}
    assert {name.split("/")[0] for name in names} == {
        "skfer",
        f"skfer-{skfer.__version__}.dist-info",
    }


def test_source_archive_holds_tests_docs_and_examples(built):
    (archive,) = built.glob("*.tar.gz")
    top = f"skfer-{skfer.__version__}"
    with tarfile.open(archive) as opened:
        names = {name.removeprefix(f"{top}/") for name in opened.getnames()}
    for name in ("tests/conftest.py", "docs/index.md", "examples/demo.py", "Makefile"):
        assert name in names
    assert not [name for name in names if name.startswith(("build/", ".venv", "dist/"))]
