"""What `predict_folder` says where there is nothing to be done; its answers are in test_dask.py."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest

from skfer.distributed import predict_folder
from skfer.distributed._dask import _probabilities


def test_an_empty_or_missing_folder_is_named(fitted_pipeline, tmp_path):
    with pytest.raises(ValueError, match="holds no images"):
        predict_folder(tmp_path, fitted_pipeline, client=object())
    with pytest.raises(ValueError, match=r"There is no folder .*nowhere"):
        predict_folder(tmp_path / "nowhere", fitted_pipeline, client=object())


def test_without_dask_the_extra_is_named(fitted_pipeline, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r"skfer\[dask\]"):
        predict_folder(tmp_path, fitted_pipeline)


def test_a_partition_size_of_none_is_refused(fitted_pipeline, tmp_path):
    with pytest.raises(ValueError, match="partition_size=0 must be an int"):
        predict_folder(tmp_path, fitted_pipeline, client=object(), partition_size=0)


@pytest.mark.filterwarnings("ignore:.* no face found:UserWarning")
def test_an_image_that_the_pipeline_refuses_costs_no_other_its_answer(
    fitted_pipeline, photo_files, tmp_path
):
    blank = tmp_path / "blank.png"
    assert cv2.imwrite(str(blank), np.zeros((64, 64), np.uint8))
    before = fitted_pipeline["cropper"].on_missing
    fitted_pipeline.set_params(cropper__on_missing="raise")
    try:
        files = [str(photo_files[0]), str(blank), str(photo_files[1])]
        probabilities, errors = _probabilities(files, 0, pipeline=fitted_pipeline, n_classes=3)
    finally:
        fitted_pipeline.set_params(cropper__on_missing=before)
    assert np.isnan(probabilities).any(axis=1).tolist() == [False, True, False]
    assert [error is None for error in errors] == [True, False, True]
    assert "blank.png" in errors[1]
