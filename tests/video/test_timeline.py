from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from skfer.video import TimelineDisplay, recognize_video

pytestmark = pytest.mark.usefixtures("figures_in_memory")


@pytest.fixture
def report(crossing, reader, tmp_path):
    return recognize_video(crossing, reader, csv=tmp_path / "rows.csv")


def test_panels_and_lines(report):
    display = TimelineDisplay.from_table(report.faces)
    assert len(display.axes_) == 2
    assert [line.get_label() for line in display.lines_] == ["happy", "sad", "surprise"] * 2
    first = report.faces[report.faces["face_id"] == 1]
    np.testing.assert_allclose(display.lines_[0].get_ydata(), first["happy"])
    display.figure_.canvas.draw()


def test_given_axes(report):
    figure, axes = plt.subplots(2, 1)
    display = TimelineDisplay.from_table(report.faces, ax=axes)
    assert display.figure_ is figure
    assert list(display.axes_) == list(axes)
    legend = axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["happy", "sad", "surprise"]
    with pytest.raises(ValueError, match="1 axes"):
        TimelineDisplay.from_table(report.faces, ax=axes[0])


def test_csv_file(report):
    display = TimelineDisplay.from_table(report.csv, classes=["sad"], n_faces=1)
    assert len(display.lines_) == 1


def test_gaps(report):
    missing = report.faces["frame"].between(5, 14)
    display = TimelineDisplay.from_table(report.faces[~missing], n_faces=1)
    assert np.isnan(display.lines_[0].get_ydata()).sum() == 1


def test_invalid_tables(report, tmp_path):
    (tmp_path / "other.csv").write_text("frame,label\n0,happy\n")
    with pytest.raises(ValueError, match="no column 'timestamp'"):
        TimelineDisplay.from_table(tmp_path / "other.csv")
    with pytest.raises(ValueError, match="no face in any frame"):
        TimelineDisplay.from_table(report.faces[report.faces["face_id"].isna()])
    with pytest.raises(ValueError, match="no column 'frame'"):
        TimelineDisplay.from_table(pd.DataFrame({"x": [1]}))
