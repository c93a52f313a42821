"""Pack FER2013 with the votes of FER+ for training.

    python benchmarks/pretrain/data.py fer2013.npz faces.npz

PrivateTest is not read. The file of 53 MiB contains

- ``images`` (n, 48, 48) uint8, each pixel minus its left neighbour modulo 256, which compresses
  better; ``train.read_data`` reverses it
- ``labels`` (n,) int8, FER2013's label as an index into ``label_names``
- ``votes`` (n, 8) float16, shares of FER+'s votes for ``vote_names``; 0 without votes for an
  expression
- ``voted`` (n,) int8, the label of FER+ by majority, -1 if there is none
- ``training`` (n,) bool, Training or PublicTest
- ``copied`` (n,) bool, images of PublicTest that are also in Training
"""

from __future__ import annotations

import argparse
import sys
import zipfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from _rules import copies, drop_single_votes

from skfer.datasets import load_fer2013, load_ferplus


def pack(source: Path) -> dict[str, np.ndarray]:
    """Return the arrays of Training and PublicTest."""
    parts = ["Training", "PublicTest"]
    faces, voted = load_fer2013(source, usage=parts), load_ferplus(source, usage=parts)
    training = faces.usage == "Training"
    label_names = np.unique(faces.labels)
    has_votes = np.flatnonzero(np.isin(faces.row, voted.row))
    counts = drop_single_votes(voted.votes)
    counts = np.where(counts.any(axis=1, keepdims=True), counts, voted.votes)
    votes = np.zeros((len(faces.images), counts.shape[1]), np.float16)
    votes[has_votes] = counts / counts.sum(axis=1, keepdims=True)
    majority = np.full(len(faces.images), -1, np.int8)
    majority[has_votes] = voted.target
    copied = np.zeros(len(faces.images), bool)
    copied[~training] = copies(faces.images[~training], faces.images[training])
    return {
        "images": np.diff(faces.images, axis=2, prepend=np.uint8(0)),
        "labels": np.searchsorted(label_names, faces.labels).astype(np.int8),
        "label_names": label_names,
        "votes": votes,
        "vote_names": voted.target_names,
        "voted": majority,
        "training": training,
        "copied": copied,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=Path, help="FER2013 with votes, as .npz")
    parser.add_argument("target", type=Path, help="file to write")
    arguments = parser.parse_args()
    # LZMA, as the images would take 67 MiB with the compression of np.savez_compressed.
    with zipfile.ZipFile(arguments.target, "w", zipfile.ZIP_LZMA) as archive:
        for name, array in pack(arguments.source).items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
    print(f"{arguments.target}: {arguments.target.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
