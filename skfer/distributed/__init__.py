"""Work shared out to the processes of a Dask cluster."""

from skfer.distributed._predict_folder import predict_folder

__all__ = ["predict_folder"]
