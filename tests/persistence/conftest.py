import io
import json
import zipfile

import numpy as np
import pytest

from skfer.persistence._model_file import write_archive


@pytest.fixture(scope="session")
def unpacked():
    """A function that returns the JSON content and the arrays of a model file."""

    def read(path):
        with zipfile.ZipFile(path) as archive:
            arrays = [np.load(io.BytesIO(archive.read(name))) for name in archive.namelist()[1:]]
            return json.loads(archive.read("skfer.json")), arrays

    return read


@pytest.fixture
def sealed(tmp_path):
    """A function that writes a file with any content and a valid checksum."""

    def write(content, arrays=()):
        path = tmp_path / "sealed.skfer"
        with path.open("w+b") as file:
            write_archive(file, content, arrays)
        return path

    return write
