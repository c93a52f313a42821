"""Calls to skfer in the comparison."""

from __future__ import annotations

from typing import Any

from _peer_protocol import System


class Skfer(System):
    """This package, with weights of a size; `parameters` are set in the Pipeline."""

    distributions = ("skfer",)
    module = "skfer"

    def __init__(self, size: str = "base", **parameters: Any):
        self.size = size
        self.parameters = parameters
        self.pipeline_file: str | None = None

    def load(self):
        if self.pipeline_file is None:
            from skfer import load_pretrained

            pipeline = load_pretrained("fer2013", self.size)
        else:
            import joblib

            pipeline = joblib.load(self.pipeline_file)
        missing = sorted(set(self.parameters) - set(pipeline.get_params()))
        if missing:
            raise RuntimeError(f"this version has no parameter {missing[0]}")
        self.pipeline = pipeline.set_params(**self.parameters)
        self.classifier = pipeline["classifier"]
        self.faces_only = pipeline[1:]  # without detection

    def batch(self, faces):
        return self.classifier.predict(faces[..., None]).tolist()

    def own(self, face):
        return str(self.faces_only.predict([face])[0])

    def photo(self, path):
        return str(self.pipeline.predict([path])[0])
