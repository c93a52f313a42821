"""Work shared out to the processes of a Dask cluster."""

from skfer.distributed._on_dask import on_dask
from skfer.distributed._predict_folder import predict_folder

__all__ = ["on_dask", "predict_folder"]
