from __future__ import annotations

import matplotlib.pyplot as plt
import pytest


@pytest.fixture(autouse=True)
def _figures_without_a_screen():
    """Draw in memory, and leave no figure open."""
    plt.switch_backend("Agg")
    yield
    plt.close("all")


@pytest.fixture
def no_matplotlib(monkeypatch):
    """An installation that lacks matplotlib."""
    import sys

    for name in ("matplotlib", "matplotlib.pyplot"):
        monkeypatch.setitem(sys.modules, name, None)
