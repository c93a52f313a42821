import runpy
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("plot_*.py"))


def test_headings_and_links():
    assert len(EXAMPLES) >= 14
    for example in EXAMPLES:
        text = example.read_text(encoding="utf-8")
        _, rule, title, second_rule, *_ = text.splitlines()
        assert set(rule) == {"="}, example.name
        assert rule == second_rule, example.name
        assert len(title) == len(rule), example.name
        introduction = text.split('"""')[1]
        assert ":doc:`/guide/" in introduction, example.name


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.* no face found:UserWarning")
@pytest.mark.usefixtures("figures_in_memory")
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example(example, tmp_path, monkeypatch):
    pytest.importorskip("skimage")
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(example))
    assert not list(tmp_path.iterdir()), "the example left files"
