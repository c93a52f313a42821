"""What wrong files are given to, and which of its answers are right."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from mutations import mutated, mutated_text

TESTS = Path(__file__).resolve().parent.parent
_STATUSES = {200, 400, 413, 415, 422, 429}


class Target(NamedTuple):
    """One way in.

    Attributes
    ----------
    seeds : callable
        Makes the right files, given an empty folder.
    run : callable
        Takes a file's bytes, the name of the right file it was made from, and an empty folder;
        raises `Refused` if the file was refused as documented, and anything else if not.
    change : callable
        Makes a file wrong.
    share : float
        Of all cases.
    """

    seeds: Callable[[Path], dict[str, bytes]]
    run: Callable[[bytes, str, Path], None]
    change: Callable[..., bytes]
    share: float


class Refused(Exception):  # noqa: N818 - no error: it is what should happen
    """The file was refused by a documented error."""


def _documented(function: Callable[[], Any], *errors: type[BaseException]) -> Any:
    try:
        return function()
    except errors as error:
        raise Refused(str(error)) from error


# --- images ---------------------------------------------------------------------------------------


def _photo() -> np.ndarray:
    from skimage.data import astronaut

    return cv2.cvtColor(astronaut()[60:156, 170:266], cv2.COLOR_RGB2BGR)


def _images(_: Path) -> dict[str, bytes]:
    kinds: dict[str, tuple[str, list[int]]] = {
        "jpeg": (".jpg", []),
        "jpeg_progressive": (".jpg", [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
        "jpeg_restarts": (".jpg", [cv2.IMWRITE_JPEG_RST_INTERVAL, 2]),
        "png": (".png", []),
        "webp": (".webp", [cv2.IMWRITE_WEBP_QUALITY, 60]),
        "webp_lossless": (".webp", [cv2.IMWRITE_WEBP_QUALITY, 101]),
        "bmp": (".bmp", []),
        "tiff": (".tiff", []),
        "gif": (".gif", []),
        "ppm": (".ppm", []),
    }
    photo = _photo()
    seeds = {
        name: cv2.imencode(ending, photo, flags)[1].tobytes()
        for name, (ending, flags) in kinds.items()
    }
    rgba = np.dstack([photo, np.full(photo.shape[:2], 90, np.uint8)])
    seeds["png_alpha"] = cv2.imencode(".png", rgba)[1].tobytes()
    seeds["png_16_bits"] = cv2.imencode(".png", photo.astype(np.uint16) * 257)[1].tobytes()
    return seeds


def _read_image(data: bytes, _: str, folder: Path) -> None:
    from skfer import GrayscaleResizer

    path = folder / "photo"
    path.write_bytes(data)
    _documented(lambda: GrayscaleResizer(48).transform([path]), ValueError)


# --- tables and arrays ----------------------------------------------------------------------------


def _tables(folder: Path) -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 48, 48), dtype=np.uint8)
    rows = [
        f"{label},{' '.join(map(str, image.ravel()))},Training"
        for label, image in enumerate(images)
    ]
    table = "\n".join(["emotion,pixels,Usage", *rows, ""]).encode()
    np.savez(folder / "a.npz", images=images, target=np.arange(3), usage=["Training"] * 3)
    np.savez_compressed(folder / "b.npz", images=images, target=np.arange(3))
    names = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    votes = "\n".join(
        [f"Usage,Image name,{names}", *["Training,fer000.png,4,0,0,1,3,2,0,0,0,0"] * 3, ""]
    ).encode()
    return {
        "fer2013.csv": table,
        "fer2013.csv.gz": gzip.compress(table, mtime=0),
        "fer2013.npz": (folder / "a.npz").read_bytes(),
        "packed.npz": (folder / "b.npz").read_bytes(),
        "fer2013new.csv": votes,
    }


def _read_table(data: bytes, name: str, folder: Path) -> None:
    from skfer.datasets import load_fer2013, load_ferplus

    path = folder / name
    path.write_bytes(data)
    if name == "fer2013new.csv":
        images = np.zeros((3, 48, 48), np.uint8)
        np.savez(folder / "fer2013.npz", images=images, target=np.arange(3))
        _documented(lambda: load_ferplus(path), ValueError)
    else:
        _documented(lambda: load_fer2013(path, usage="Training"), ValueError)


# --- models ---------------------------------------------------------------------------------------


def _models(_: Path) -> dict[str, bytes]:
    sys.path.insert(0, str(TESTS))
    from saved_models_for_tests import MODELS, is_too_new

    return {path.stem: path.read_bytes() for path in MODELS if not is_too_new(path)}


def _load_model(data: bytes, _: str, folder: Path) -> None:
    import skfer

    path = folder / "model.skfer"
    path.write_bytes(data)
    model = _documented(lambda: skfer.load(path), ValueError)
    if data not in _models(folder).values():
        raise AssertionError(f"a changed file was loaded, as {model!r}")


def _load_sealed(data: bytes, _: str, folder: Path) -> None:
    """A file whose checksum is right: what it holds is up to who made it."""
    import skfer

    path = folder / "model.skfer"
    path.write_bytes(data)
    model = _documented(lambda: skfer.load(path), ValueError)
    image = np.full((1, 32, 32), 90, np.uint8)
    # It may be wrong about anything, in a way that shows only here; it may not crash or hang.
    _documented(lambda: model.predict_proba(image), Exception)


def _sealed(data: bytes, rng: np.random.Generator, others: list[bytes]) -> bytes:
    """A model file with other content under a checksum that is right."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(file, "w") as changed:
        names = archive.namelist()
        chosen = names[0] if rng.random() < 0.8 else names[int(rng.integers(len(names)))]
        for name in names:
            content = archive.read(name)
            if name == chosen:
                content = (
                    _other_json(content, rng)
                    if name.endswith(".json") and rng.random() < 0.8
                    else mutated_text(content, rng, [content])
                )
            changed.writestr(name, content)
        changed.comment = archive.comment
    whole = file.getvalue()[:-64]
    return whole + hashlib.sha256(whole).hexdigest().encode()


def _other_json(text: bytes, rng: np.random.Generator) -> bytes:
    """JSON that is well-formed, with one value put in place of another."""
    content = json.loads(text)
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in node if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    walk(content)
    node, key = places[int(rng.integers(len(places)))]
    numbers, words = (None, -1, 0, 2**40, 1e308, True), ("", "softmax", "Lambda")
    strange = (*numbers, *words, [], {}, [[1]], {"array": 0})
    if rng.random() < 0.7:
        node[key] = strange[int(rng.integers(len(strange)))]
    else:
        other, there = places[int(rng.integers(len(places)))]
        node[key] = json.loads(json.dumps(other[there]))
    return json.dumps(content).encode()


# --- the page -------------------------------------------------------------------------------------

_client: list[Any] = []


def _page() -> Any:
    if not _client:
        sys.path.insert(0, str(TESTS))
        from web_for_tests import BrightnessReader

        from skfer.web import create_app

        app = create_app(BrightnessReader())
        app.config["PROPAGATE_EXCEPTIONS"] = True
        _client.append(app.test_client())
    return _client[0]


def _send(data: bytes, address: str) -> None:
    answer = _page().post(address, data=data)
    if answer.status_code not in _STATUSES:
        raise AssertionError(f"the page answered {answer.status_code}: {answer.text[:500]}")
    if answer.status_code != 200:
        raise Refused(answer.text)


def _photos(folder: Path) -> dict[str, bytes]:
    """Those that the page takes: fewer kinds than the library."""
    rare = ("tiff", "gif", "ppm")
    return {name: data for name, data in _images(folder).items() if name not in rare}


def _send_photo(data: bytes, name: str, folder: Path) -> None:
    _send(data, "/api/v1/recognize")


def _clips(folder: Path) -> dict[str, bytes]:
    sys.path.insert(0, str(TESTS))
    from clips_for_tests import picture, write_clip

    pictures = [picture((10 + place, 20)) for place in range(6)]
    names = ("clip.mp4", "clip.mkv", "clip.avi")
    return {name: write_clip(folder / name, pictures).read_bytes() for name in names}


def _read_video(data: bytes, name: str, folder: Path) -> None:
    from skfer.video._sources import VideoFile

    path = folder / name
    path.write_bytes(data)

    def read() -> None:
        video = VideoFile(path)
        try:
            for count, _ in enumerate(video):
                if count > 500:  # a repeated piece is no endless one
                    break
        finally:
            video.close()

    _documented(read, ValueError)


def _send_video(data: bytes, name: str, folder: Path) -> None:
    _send(data, "/api/v1/video")


TARGETS = {
    "image": Target(_images, _read_image, mutated, 0.45),
    "table": Target(_tables, _read_table, mutated_text, 0.22),
    "model": Target(_models, _load_model, mutated, 0.20),
    "model_sealed": Target(_models, _load_sealed, _sealed, 0.05),
    "page_photo": Target(_photos, _send_photo, mutated, 0.04),
    "video": Target(_clips, _read_video, mutated, 0.02),
    "page_video": Target(_clips, _send_video, mutated, 0.02),
}


def silence() -> None:
    """Warnings are for users; here they would be thousands."""
    warnings.simplefilter("ignore")
