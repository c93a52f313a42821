"""Functions that read the changed files, and the errors that they may raise."""

import gzip
import hashlib
import io
import json
import os
import sys
import zipfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from mutations import mutate, mutate_text
from PIL import Image

TESTS = Path(__file__).resolve().parent.parent
_STATUSES = {200, 400, 413, 415, 422, 429}


class Target(NamedTuple):
    """A function that reads files, with valid files, a mutation and limits.

    `run` takes the bytes of a file, the name of the original file and an empty folder, and raises
    `Refused` for a documented error. `share` is the share of all cases, `seconds` the limit of
    processor time for a case.
    """

    seeds: Callable[[Path], dict[str, bytes]]
    run: Callable[[bytes, str, Path], None]
    change: Callable[..., bytes]
    share: float
    seconds: float = 5.0


class Refused(Exception):  # noqa: N818 - the expected outcome, not an error
    """The file was refused by a documented error."""


def _documented(function, *errors):
    try:
        return function()
    except errors as error:
        raise Refused(str(error)) from error


def _photo():
    from skimage.data import astronaut

    return cv2.cvtColor(astronaut()[60:156, 170:266], cv2.COLOR_RGB2BGR)


def _images(_):
    kinds = {
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
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "AVIF", speed=10)
    seeds["avif"] = file.getvalue()
    seeds["pam"] = cv2.imencode(".pam", photo)[1].tobytes()
    return seeds


def _read_image(data, _, folder):
    from skfer import GrayscaleResizer

    path = folder / "photo"
    path.write_bytes(data)
    _documented(lambda: GrayscaleResizer(48).transform([path]), ValueError)


def _tables(folder):
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


def _read_table(data, name, folder):
    from skfer.datasets import load_fer2013, load_ferplus

    path = folder / name
    path.write_bytes(data)
    if name == "fer2013new.csv":
        images = np.zeros((3, 48, 48), np.uint8)
        np.savez(folder / "fer2013.npz", images=images, target=np.arange(3))
        _documented(lambda: load_ferplus(path), ValueError)
    else:
        _documented(lambda: load_fer2013(path, usage="Training"), ValueError)


# Environment variable of the second run of a failed case, with the trial of networks in a child
# process. The first run omits this trial, which takes seconds.
WITH_TRIAL = "SKFER_FUZZ_WITH_TRIAL"
_IMAGE = np.full((1, 32, 32), 90, np.uint8)


def _models(_):
    sys.path.insert(0, str(TESTS))
    from _utils import MODELS, is_too_new

    return {path.stem: path.read_bytes() for path in MODELS if not is_too_new(path)}


def _more_models(folder):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    import skfer

    named = skfer.FacialExpressionClassifier("mini_xception", random_state=0)
    named.classes_ = np.array(["happy", "sad"])
    named._seed = 0
    named._build(np.zeros((1, 32, 32, 1), np.uint8), 2)
    images = np.random.default_rng(0).integers(0, 256, (6, 32, 32), dtype=np.uint8)
    for backend in ("keras", "onnx", "auto"):  # the start of TensorFlow does not count for a case
        named.set_params(backend=backend).predict_proba(images)
    cropper = skfer.FaceCropper(whole_below=64)
    edges = (skfer.GrayscaleResizer(32), skfer.HOGDescriptor(), StandardScaler())
    plain = make_pipeline(cropper, *edges, LogisticRegression())
    plain.fit(images, ["happy", "sad"] * 3)
    saved = {"named": skfer.save(named, folder / "a"), "plain": skfer.save(plain, folder / "b")}
    return _models(folder) | {name: path.read_bytes() for name, path in saved.items()}


def _load_model(data, _, folder):
    import skfer

    path = folder / "model.skfer"
    path.write_bytes(data)
    model = _documented(lambda: skfer.load(path, trusted=True), ValueError)
    if data not in _models(folder).values():
        raise AssertionError(f"a changed file was loaded, as {model!r}")


def _use_model(data, _, folder):
    import skfer

    path = folder / "model.skfer"
    path.write_bytes(data)
    trusted = WITH_TRIAL not in os.environ
    model = _documented(lambda: skfer.load(path, trusted=trusted), ValueError, FileNotFoundError)
    with suppress(Exception):  # any error is accepted, but no crash and no endless loop
        model.predict_proba(_IMAGE)


def _change_model(data, rng, others):
    from skfer.persistence._model_file import write_archive

    content, arrays = _unpack_model(data)
    for _ in range(int(rng.choice([1, 1, 2, 3]))):
        if rng.random() < 0.25:
            i = int(rng.integers(len(arrays)))
            arrays[i] = _change_array(arrays[i], rng)
        else:
            _change_json(content, rng, _unpack_model(others[int(rng.integers(len(others)))])[0])
    file = io.BytesIO()
    write_archive(file, content, arrays)
    if rng.random() < 0.1:  # a damaged archive with a valid checksum
        whole = mutate(file.getvalue()[:-64], rng, others)
        return whole + hashlib.sha256(whole).hexdigest().encode()
    return file.getvalue()


def _unpack_model(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        arrays = [np.load(io.BytesIO(archive.read(name))) for name in names[1:]]
        return json.loads(archive.read(names[0])), arrays


def _change_array(array, rng):
    flat = array.reshape(-1)
    return [
        lambda: array[..., :-1] if array.ndim else array,
        lambda: array.T,
        lambda: flat[:0],
        lambda: np.tile(flat, 1000),
        lambda: array.astype("U3"),
        lambda: np.zeros(array.shape, rng.choice(["u1", "f8", "i8", "?", "f2"])),
        lambda: np.full(array.shape, rng.choice([np.nan, np.inf, 1e38, -1.0, 0.0]), "f4"),
        lambda: np.array(int(rng.integers(-2, 1000))),
    ][int(rng.integers(8))]()


_NUMBERS = (*(None, True, -1, 0, 1, 2, 3, 7, 64, 255, 1000, 2**31 - 1, 2**40, 10**30), 0.5, 1e308)
_TEXTS = (
    *("", "same", "valid", "softmax", "relu", "channels_first", "nearest", "bicubic", "float16"),
    *("haar", "yunet", "mtcnn", "mini_resnet", "flip", "onnx", "raise", "largest", "\ud800"),
    *("/dev/zero", "/etc/passwd", "../a.npy", "http://127.0.0.1/a.keras", "a\x1b[2J"),
)
_CLASSES = (
    *("Conv2D", "Conv2DTranspose", "DepthwiseConv2D", "SeparableConv2D", "Dense", "Lambda", "ReLU"),
    *("UpSampling2D", "ZeroPadding2D", "Cropping2D", "Add", "Concatenate", "Flatten", "Reshape"),
    *("MaxPooling2D", "AveragePooling2D", "GlobalAveragePooling2D", "BatchNormalization"),
    *("Functional", "Sequential", "Resizing", "Rescaling", "InputLayer", "Softmax", "Permute"),
    *("Pipeline", "FaceCropper", "GrayscaleResizer", "YuNetDetector", "MTCNNDetector", "PCA"),
    *("AbstainingClassifier", "FacialExpressionClassifier", "FeatureUnion", "FrozenEstimator"),
    *("HOGDescriptor", "LBPDescriptor", "LinearSVC", "Popen", "os.system"),
)
_WRAPPED = (
    *({"path": "/dev/zero"}, {"path": "/etc"}, {"float": "nan"}, {"array": 0}, {"array": -1}),
    *({"tuple": []}, {"tuple": [1000, 1000]}, {"dict": []}, {"objects": [None]}, [], {}, [[1]]),
)


def _change_json(content, rng, other):
    entries = [(node, key) for node, key in _json_entries(content) if not _is_weights(node)]
    lists = [node[key] for node, key in entries if isinstance(node[key], list) and node[key]]
    classes = [(node, key) for node, key in entries if key == "class"]
    kind = rng.random()
    if kind < 0.15 and classes:
        node, key = classes[int(rng.integers(len(classes)))]
        node[key] = _CLASSES[int(rng.integers(len(_CLASSES)))]
    elif kind < 0.35 and lists:  # layers, steps and their inputs
        items = lists[int(rng.integers(len(lists)))]
        i, j = (int(rng.integers(len(items))) for _ in range(2))
        if kind < 0.2:
            del items[i]
        elif kind < 0.25:
            items[i], items[j] = items[j], items[i]
        else:
            items[i:i] = json.loads(json.dumps(items[j : j + 3])) * int(rng.choice([1, 9]))
    elif entries:
        node, key = entries[int(rng.integers(len(entries)))]
        others = list(_json_entries(other))
        source, source_key = others[int(rng.integers(len(others)))]
        values = (_NUMBERS, _TEXTS, _WRAPPED, [source[source_key]], [key])[int(rng.integers(5))]
        node[key] = json.loads(json.dumps(values[int(rng.integers(len(values)))]))


def _json_entries(node):
    """Yield the container and the key of each value in JSON data."""
    for key in list(node) if isinstance(node, dict) else range(len(node)):
        yield node, key
        if isinstance(node[key], dict | list):
            yield from _json_entries(node[key])


def _is_weights(node):
    return isinstance(node, list) and all(isinstance(item, int) for item in node)


def _keras_files(folder):
    import keras

    layers = keras.layers
    inputs = keras.Input((32, 32, 1))
    x = layers.ReLU()(layers.Conv2D(4, 3, strides=2, padding="same")(inputs))
    x = layers.GlobalAveragePooling2D()(layers.MaxPooling2D()(x))
    network = keras.Model(inputs, layers.Dense(2, activation="softmax")(x))
    network.save(folder / "a.keras")
    network.save(folder / "a.h5")
    return {name: (folder / name).read_bytes() for name in ("a.keras", "a.h5")}


def _change_keras(data, rng, others):
    if not data.startswith(b"PK") or rng.random() < 0.2:
        return mutate(data, rng, others)
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(file, "w") as changed:
        for name in archive.namelist():
            content = archive.read(name)
            if name == "config.json":
                config = json.loads(content)
                for _ in range(int(rng.choice([1, 2, 3]))):
                    entries = list(_json_entries(config))
                    node, key = entries[int(rng.integers(len(entries)))]
                    values = (_NUMBERS, _TEXTS, _CLASSES, [[], {}])[int(rng.integers(4))]
                    node[key] = values[int(rng.integers(len(values)))]
                content = json.dumps(config).encode()
            elif name.endswith(".h5") and rng.random() < 0.1:
                content = mutate(content, rng, [content])
            changed.writestr(name, content)
    return file.getvalue()


def _use_keras(data, name, folder):
    from skfer import FacialExpressionClassifier

    path = folder / name
    path.write_bytes(data)
    model = _documented(
        lambda: FacialExpressionClassifier.from_keras(path, classes=["happy", "sad"]), ValueError
    )
    with suppress(Exception):
        model.predict_proba(_IMAGE)


_BLANK = np.zeros((40, 40), np.uint8)


def _cached_detector(folder):
    from skfer.detection import CachedDetector, HaarDetector

    detector = CachedDetector(HaarDetector(), folder)
    return detector, detector._entry(_BLANK)


def _cache_entries(folder):
    rows = {"none": np.empty((0, 5)), "one": [[1, 2, 30, 9, 0.5]], "five": np.ones((5, 15))}
    for name, table in rows.items():
        np.save(folder / f"{name}.npy", np.asarray(table, "<f8"))
    return {name: (folder / f"{name}.npy").read_bytes() for name in rows}


def _read_cache_entry(data, _, folder):
    detector, entry = _cached_detector(folder)
    entry.parent.mkdir(parents=True)
    entry.write_bytes(data)
    faces = detector.detect(_BLANK)
    if len(faces) and np.abs(faces.boxes).max() > 80:
        raise AssertionError(f"boxes outside of the image: {faces}")


def _network():
    import keras

    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, activation="softmax")])
    network.compile("adam", "sparse_categorical_crossentropy")
    network.optimizer.build(network.trainable_variables)
    return network


def _checkpoints(folder):
    from skfer._training._checkpoint import CheckpointFile, Progress

    network, file = _network(), CheckpointFile(folder, "0")
    variables = {"network": network.variables, "optimizer": network.optimizer.variables}
    arrays = {name: [one.numpy() for one in group] for name, group in variables.items()}
    file.write(Progress(0, 0, 2, history={"loss": [1.0, 0.5]}), arrays)
    return {"fit-0.npz": file.path.read_bytes()}


def _restore_checkpoint(data, name, folder):
    from skfer._training._checkpoint import CheckpointFile

    if not _compiled:
        _compiled.append(_network())
    (folder / name).write_bytes(data)

    def read():
        saved = CheckpointFile(folder, "0").read()
        saved.restore(_compiled[0], [], phase_epochs=3)

    _documented(read, ValueError)
    if not all(np.isfinite(one.numpy()).all() for one in _compiled[0].variables):
        raise AssertionError("weights that are not finite were restored")


_compiled = []


def _change_checkpoint(data, rng, others):
    if rng.random() < 0.3:
        return mutate(data, rng, others)
    with np.load(io.BytesIO(data)) as stored:
        arrays = dict(stored)
    name = list(arrays)[int(rng.integers(len(arrays)))]
    if name == "progress":
        progress = json.loads(str(arrays[name]))
        entries = list(_json_entries(progress))
        node, key = entries[int(rng.integers(len(entries)))]
        values = (*_NUMBERS, *_TEXTS[:3], [], {}, [1])
        node[key] = values[int(rng.integers(len(values)))]
        arrays[name] = np.array(json.dumps(progress))
    elif rng.random() < 0.2:
        del arrays[name]
    else:
        arrays[name] = _change_array(arrays[name], rng)
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


_client = []


def _page():
    if not _client:
        sys.path.insert(0, str(TESTS))
        from _web import BrightnessReader

        from skfer.web import create_app

        app = create_app(BrightnessReader())
        app.config["PROPAGATE_EXCEPTIONS"] = True
        _client.append(app.test_client())
    return _client[0]


def _send(data, address):
    response = _page().post(address, data=data)
    if response.status_code not in _STATUSES:
        raise AssertionError(f"status {response.status_code}: {response.text[:500]}")
    if response.status_code != 200:
        raise Refused(response.text)


def _photos(folder):
    rare = ("tiff", "gif", "ppm", "pam", "avif")
    return {name: data for name, data in _images(folder).items() if name not in rare}


def _send_photo(data, name, folder):
    _send(data, "/api/v1/recognize")


def _clips(folder):
    sys.path.insert(0, str(TESTS))
    from _videos import picture, write_clip

    pictures = [picture((10 + x, 20)) for x in range(6)]
    names = ("clip.mp4", "clip.mkv", "clip.avi")
    return {name: write_clip(folder / name, pictures).read_bytes() for name in names}


def _read_video(data, name, folder):
    from skfer._video_file import VideoFile

    path = folder / name
    path.write_bytes(data)

    def read():
        video = VideoFile(path)
        try:
            for count, _ in enumerate(video):
                if count > 500:  # repeated parts make long videos, not endless ones
                    break
        finally:
            video.close()

    _documented(read, ValueError)


def _send_video(data, name, folder):
    _send(data, "/api/v1/video")


_running = ExitStack()
_address = []


def _request(data, name, folder):
    starting = not _address
    if starting:
        sys.path.insert(0, str(TESTS))
        from _web import BrightnessReader, served

        url = _running.enter_context(served(BrightnessReader()))
        _address.append(url.removeprefix("http://").rstrip("/"))
    connection = HTTPConnection(_address[0], timeout=60)
    connection.connect()
    connection.sock.sendall(data)
    connection.sock.settimeout(60 if starting else 1)  # the server may wait for more
    response = b""
    with suppress(OSError):
        while part := connection.sock.recv(1 << 16):
            response += part
    connection.close()
    check = HTTPConnection(_address[0], timeout=60)
    check.request("GET", "/api/v1/models")
    if check.getresponse().status not in (200, 404):
        raise AssertionError("the server does not respond any more")
    check.close()
    status = response.split(b" ", 2)[1:2]
    if status and status[0].startswith(b"5") and status[0] != b"503":
        raise AssertionError(f"the server sent {response[:300]!r}")
    if status != [b"200"]:
        raise Refused(response[:200])


def _requests(folder):
    photo = cv2.imencode(".jpg", _photo())[1].tobytes()
    form = (
        b'--xx\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n'
        b"Content-Type: image/jpeg\r\n\r\n" + photo + b"\r\n--xx--\r\n"
    )
    kinds = {"photo": ("image/jpeg", photo), "form": ("multipart/form-data; boundary=xx", form)}
    return {
        name: (
            f"POST /api/v1/recognize HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()
        + body
        for name, (kind, body) in kinds.items()
    }


TARGETS = {
    "image": Target(_images, _read_image, mutate, 0.36),
    "table": Target(_tables, _read_table, mutate_text, 0.14),
    "model": Target(_models, _load_model, mutate, 0.10),
    "model_used": Target(_more_models, _use_model, _change_model, 0.20, 30.0),
    "keras": Target(_keras_files, _use_keras, _change_keras, 0.05, 30.0),
    "cache": Target(_cache_entries, _read_cache_entry, mutate, 0.03),
    "checkpoint": Target(_checkpoints, _restore_checkpoint, _change_checkpoint, 0.04),
    "page_photo": Target(_photos, _send_photo, mutate, 0.03),
    "server": Target(_requests, _request, mutate, 0.03),
    "video": Target(_clips, _read_video, mutate, 0.01),
    "page_video": Target(_clips, _send_video, mutate, 0.01),
}


def finish():
    _running.close()
