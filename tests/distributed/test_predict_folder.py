"""Errors of `predict_folder`; its results are in test_dask.py."""

from __future__ import annotations

import errno
import os
import sys
from functools import partial

import cv2
import numpy as np
import pytest

from skfer.distributed import predict_folder
from skfer.distributed._dask import _probabilities


def test_invalid_arguments(fitted_pipeline, tmp_path):
    predict = partial(predict_folder, pipeline=fitted_pipeline, client=object())
    with pytest.raises(ValueError, match="holds no images"):
        predict(tmp_path)
    with pytest.raises(ValueError, match=r"There is no folder .*missing"):
        predict(tmp_path / "missing")
    with pytest.raises(ValueError, match="partition_size=0 must be an int"):
        predict(tmp_path, partition_size=0)


def test_unreadable_folder(fitted_pipeline, tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir()
    (tmp_path / "a.jpg").touch()
    scandir = os.scandir

    def refuse(path):  # the tests may run as root
        if path == str(tmp_path / "closed"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ValueError, match="closed' can't be read: Permission denied"):
        predict_folder(tmp_path, fitted_pipeline, client=object())


def test_missing_dask(fitted_pipeline, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r"skfer\[dask\]"):
        predict_folder(tmp_path, fitted_pipeline)


@pytest.mark.filterwarnings("ignore:.* no face found:UserWarning")
def test_refused_image(fitted_pipeline, photo_files, tmp_path):
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
