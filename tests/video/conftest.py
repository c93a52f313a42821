from __future__ import annotations

import pytest
from _videos import BrightSquares, picture, write_clip


@pytest.fixture
def squares(monkeypatch):
    monkeypatch.setattr(BrightSquares, "calls", 0)
    return BrightSquares()


@pytest.fixture
def reader(fitted_pipeline, squares):
    from skfer.recognition import FaceReader

    return FaceReader(fitted_pipeline, detector=squares)


@pytest.fixture
def crossing(tmp_path):
    """A video of 30 frames with two faces that cross; the last 5 frames have no face."""
    pictures = [picture((4 + 4 * step, 4), (120 - 4 * step, 56)) for step in range(25)]
    return write_clip(tmp_path / "crossing.mp4", pictures + [picture()] * 5)
