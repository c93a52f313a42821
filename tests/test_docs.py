import importlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import skfer

ROOT = Path(__file__).parent.parent
PACKAGES = (
    *("datasets", "detection", "distributed", "evaluation", "inspection", "metrics"),
    *("model_selection", "networks", "recognition", "video", "web"),
)
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


def reference():
    """Public names of the API reference, with their packages."""
    package, names = "", set()
    for line in (ROOT / "docs" / "api" / "index.rst").read_text(encoding="utf-8").splitlines():
        if module := re.fullmatch(r"\.\. currentmodule:: (\S+)", line):
            package = module[1]
        elif name := re.fullmatch(r"   (\w+)|\.\. autodata:: (\w+)", line):
            names.add(f"{package}.{name[1] or name[2]}")
    return names


def public_names():
    """What `skfer` and its public packages offer, each under its first name."""
    at_the_top = set(skfer.__all__) - {"__version__"}
    names = {f"skfer.{name}" for name in at_the_top}
    for package in PACKAGES:
        offered = importlib.import_module(f"skfer.{package}").__all__
        names |= {f"skfer.{package}.{name}" for name in offered if name not in at_the_top}
    return names


def test_reference_names_everything_that_is_public_and_nothing_else():
    # FollowedFace of skfer.video is the one of skfer.recognition.
    assert reference() == public_names() - {"skfer.video.FollowedFace"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_between_pages_lead_somewhere(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", text):
        place = page.parent / target
        # The gallery and the drawn figures are made when the site is built.
        made = target in ("gallery/index.rst", "../gallery/index.rst", "benchmarks/index.rst")
        assert made or place.exists(), f"{page.name} links to {target}"


def test_tests_named_on_the_page_of_faults_exist():
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    code = "".join(file.read_text(encoding="utf-8") for file in ROOT.glob("tests/**/test_*.py"))
    assert set(re.findall(r"`(test_\w+)`", text)) <= set(re.findall(r"def (test_\w+)", code))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_a_fresh_machine_installs_what_builds_the_site(tmp_path):
    plan = subprocess.run(
        ["make", "--dry-run", "docs", f"VENV={tmp_path}/venv"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "--editable '.[dev,docs]'" in plan
    assert "-b html docs build/html" in plan
