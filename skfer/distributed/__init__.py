"""Searches and predictions on a Dask cluster."""

from skfer.distributed._dask import on_dask, predict_folder

__all__ = ["on_dask", "predict_folder"]
