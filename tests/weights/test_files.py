import json

import numpy as np
import onnx
import pytest

from skfer.weights import WeightsRecord, list_weights, read_model, read_record, write_weights
from skfer.weights._files import FOLDER

RECORD = WeightsRecord(
    *("a", "", "", "mini_resnet", (48, 48, 1), ["happy", "sad"], [0.6, 0.4], 1.0),
    *({}, {}, 0, {}, "", "", {}, {}),
)
MODEL = bytes(range(256)) * 4


def test_written_weights(tmp_path):
    (written,) = write_weights([RECORD], MODEL, "a.onnx", tmp_path)
    assert written.file == "a.onnx"
    assert read_record("a", tmp_path) == written
    assert read_model(read_record("a", tmp_path), tmp_path) == MODEL
    write_weights([RECORD], MODEL, "deleted.onnx", tmp_path)
    (tmp_path / "deleted.onnx").unlink()
    with pytest.raises(ValueError, match=r"deleted\.onnx' can't be read"):
        read_model(read_record("a", tmp_path), tmp_path)


@pytest.mark.parametrize("place", [0, 300, -1])
def test_changed_files(place, tmp_path):
    changed = bytearray(MODEL)
    changed[place] ^= 1
    write_weights([RECORD], MODEL, "a.onnx", tmp_path)
    (tmp_path / "a.onnx").write_bytes(changed)
    with pytest.raises(ValueError, match=r"a\.onnx' has been changed.*SHA-256"):
        read_model(read_record("a", tmp_path), tmp_path)


def test_every_file_of_weights_has_a_record():
    files = {read_record(name).file for name in list_weights()}
    assert {path.name for path in FOLDER.glob("*.onnx")} == files


@pytest.mark.parametrize(
    ("file", "max_size"), [("mini_resnet.onnx", 3_500_000), ("mini_resnet_small.onnx", 900_000)]
)
def test_shipped_weights(file, max_size):
    assert (FOLDER / file).stat().st_size < max_size
    model = onnx.load(FOLDER / file)
    assert not model.functions
    assert {node.domain for node in model.graph.node} == {""}
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    kinds = {onnx.helper.tensor_dtype_to_np_dtype(t.data_type) for t in model.graph.initializer}
    assert kinds == {np.dtype(kind) for kind in ("float16", "float32", "int64")}
    onnx.checker.check_model(model, full_check=True)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    networks = [name for name in list_weights() if read_record(name).file == file]
    assert sorted(json.loads(metadata["networks"])) == networks
