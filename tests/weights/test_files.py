"""Files of weights: what is written comes back, and what was changed is refused."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from skfer.weights import WeightsRecord, list_weights, read_weights, write_weights

RECORD = WeightsRecord(
    *("mine", "", "mini_resnet", (48, 48, 1), ["happy", "sad"], [0.6, 0.4], 1.0),
    *({}, {}, 0, {}, "", "", {}, {}),
)


@pytest.fixture
def arrays():
    generator = np.random.default_rng(0)
    return [
        generator.normal(0, 0.05, (3, 3, 8, 16)).astype(np.float32),
        np.full(16, 1e-7, np.float32),  # too small for half precision
    ]


def test_weights_come_back_in_half_precision_and_vectors_as_they_were(tmp_path, arrays):
    written = write_weights(RECORD, arrays, tmp_path)
    record, again = read_weights("mine", tmp_path)
    assert record == written
    assert all(array.dtype == np.float32 for array in again)
    np.testing.assert_allclose(again[0], arrays[0], rtol=1e-3, atol=1e-6)
    assert np.array_equal(again[1], arrays[1])


def test_equal_weights_are_an_equal_file(tmp_path, arrays):
    first = write_weights(RECORD, arrays, tmp_path)
    assert write_weights(RECORD, arrays, tmp_path).sha256 == first.sha256


@pytest.mark.parametrize("place", [0, 300, -1])
def test_a_flipped_byte_is_refused_by_name(place, tmp_path, arrays):
    write_weights(RECORD, arrays, tmp_path)
    file = tmp_path / "mine.npz"
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"mine\.npz' has been changed.*SHA-256"):
        read_weights("mine", tmp_path)


def test_a_missing_file_is_named(tmp_path, arrays):
    write_weights(RECORD, arrays, tmp_path)
    (tmp_path / "mine.npz").unlink()
    with pytest.raises(ValueError, match=r"mine\.npz' can't be read"):
        read_weights("mine", tmp_path)


def test_what_is_shipped_is_small_and_holds_numbers_only():
    from skfer.weights._files import FOLDER

    files = [FOLDER / f"{name}.npz" for name in list_weights()]
    assert sum(file.stat().st_size for file in files) <= 6_000_000
    for file in files:
        with zipfile.ZipFile(file) as archive:
            assert all(name.endswith(".npy") for name in archive.namelist())
        with np.load(file, allow_pickle=False) as stored:
            assert {stored[key].dtype.kind for key in stored.files} == {"f"}
