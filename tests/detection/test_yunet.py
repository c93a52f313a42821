import pickle
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest
from sklearn.base import clone

from skfer import FaceCropper, load_pretrained
from skfer.detection import HaarDetector, YuNetDetector, _yunet, build_detector, download_yunet

# Right eye, left eye, nose, right and left corner of the mouth, read off the photo by eye.
ASTRONAUT = [[202, 101], [246, 103], [223, 127], [201, 139], [244, 141]]


@pytest.fixture
def yunet(yunet_model):
    return YuNetDetector(yunet_model)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Return the user's cache folder, with no model installed."""
    folder = tmp_path / "cache" / "skfer"
    monkeypatch.setattr(_yunet.platformdirs, "user_cache_dir", lambda name: str(folder))
    monkeypatch.setattr(_yunet, "__file__", str(tmp_path / "_yunet.py"))
    assert not YuNetDetector.is_installed()
    return folder


class Site(ThreadingHTTPServer):
    content = b""
    requests = 0

    class RequestHandlerClass(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.requests += 1
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.server.content)

        def log_message(self, *request):
            pass


@pytest.fixture
def site(monkeypatch):
    server = Site(("127.0.0.1", 0), Site.RequestHandlerClass)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(_yunet, "_MODEL_URL", f"http://127.0.0.1:{server.server_port}/")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def in_new_thread(function, *arguments):
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(function, *arguments).result()


def rotated(photo, degrees):
    turn = cv2.getRotationMatrix2D((224, 115), degrees, 1)
    size = photo.shape[1::-1]
    return cv2.warpAffine(photo, turn, size, borderMode=cv2.BORDER_REPLICATE), turn


def tilt(landmarks):
    return np.degrees(np.arctan2(*(landmarks[1] - landmarks[0])[::-1]))


@pytest.mark.real_data
def test_face_and_order_of_landmarks(yunet, astronaut):
    faces = yunet.detect(astronaut)
    assert len(faces) == 1
    x, y, width, height = faces.boxes[0]
    assert x < 202 < 246 < x + width
    assert y < 101 < 141 < y + height
    assert 0.8 < faces.scores[0] <= 1
    np.testing.assert_allclose(faces.landmarks[0], ASTRONAUT, atol=6)
    gray = yunet.detect(cv2.cvtColor(astronaut, cv2.COLOR_RGB2GRAY))
    np.testing.assert_allclose(gray.landmarks, [ASTRONAUT], atol=6)


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize("scale", [0.5, 3])
def test_scaled_photos(yunet, astronaut, scale):
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    photo = cv2.resize(astronaut, None, fx=scale, fy=scale, interpolation=method)
    faces = yunet.set_params(min_face_size=16).detect(photo)
    np.testing.assert_allclose(faces.boxes / scale, yunet.detect(astronaut).boxes, atol=8)
    np.testing.assert_allclose(faces.landmarks / scale, [ASTRONAUT], atol=8)


@pytest.mark.real_data
@pytest.mark.parametrize("shape", [(1, 1), (1, 500, 3), (10, 300), (31, 300, 3), (300, 10)])
def test_narrow_images(yunet, shape):
    faces = yunet.set_params(min_face_size=1).detect(np.zeros(shape, np.uint8))
    assert len(faces) == 0
    assert faces.boxes.shape == (0, 4)


@pytest.mark.slow
@pytest.mark.real_data
def test_threads_and_copies(yunet, astronaut):
    photos = [astronaut[:300], astronaut[:400, 100:], astronaut] * 3
    expected = [yunet.detect(photo) for photo in photos]
    for detector in (yunet, pickle.loads(pickle.dumps(yunet)), clone(yunet)):
        with ThreadPoolExecutor(4) as threads:
            for faces, same in zip(threads.map(detector.detect, photos), expected, strict=True):
                np.testing.assert_array_equal(faces.boxes, same.boxes)
                np.testing.assert_array_equal(faces.landmarks, same.landmarks)


@pytest.mark.real_data
def test_faces_of_other_sizes(yunet, astronaut):
    portrait = cv2.resize(astronaut[50:190, 155:295], (1800, 1800), interpolation=cv2.INTER_CUBIC)
    faces = yunet.detect(portrait)
    assert len(faces) == 1
    assert faces.boxes[0, 3] > 1000
    small = cv2.resize(astronaut, (120, 120), interpolation=cv2.INTER_AREA)
    photo = np.full((960, 1280, 3), 90, np.uint8)
    photo[700:820, 900:1020] = small
    faces = yunet.set_params(min_face_size=16).detect(photo)
    assert len(faces) == 1
    expected = np.array(ASTRONAUT) * (120 / 512) + [900, 700]
    np.testing.assert_allclose(faces.landmarks[0], expected, atol=3)
    assert len(yunet.set_params(min_face_size=40).detect(photo)) == 0


@pytest.mark.real_data
@pytest.mark.parametrize("degrees", [-30, 30])
def test_refined_landmarks_follow_the_tilt(yunet, astronaut, degrees):
    photo, turn = rotated(astronaut, degrees)
    expected = cv2.transform(np.array([ASTRONAUT], float), turn)[0]

    def error(detector):
        return abs(tilt(detector.detect(photo).landmarks[0]) - tilt(expected))

    np.testing.assert_allclose(yunet.detect(photo).landmarks[0], expected, atol=9)
    assert error(yunet) < 6
    assert error(clone(yunet).set_params(refine_landmarks=False)) > 10


@pytest.mark.real_data
def test_cache_key_depends_on_the_model_not_its_path(yunet_model, astronaut, tmp_path):
    def count_entries(model, **settings):
        detector = YuNetDetector(model, **settings)
        FaceCropper(detector, memory=tmp_path / "boxes").detect([astronaut])
        return len(list((tmp_path / "boxes").rglob("*.npy")))

    elsewhere = tmp_path / "yunet.onnx"
    shutil.copy(yunet_model, elsewhere)
    assert count_entries(yunet_model) == 1
    assert count_entries(str(elsewhere)) == 1
    assert count_entries(elsewhere, score_threshold=0.5) == 2
    assert YuNetDetector().cache_key() == YuNetDetector(elsewhere).cache_key()
    with elsewhere.open("ab") as file:
        file.write(b"\x00")
    assert YuNetDetector().cache_key() != YuNetDetector(elsewhere).cache_key()


@pytest.mark.real_data
def test_replaced_model_file(yunet_model, astronaut, tmp_path):
    model = tmp_path / "yunet.onnx"
    shutil.copy(yunet_model, model)
    detector = YuNetDetector(model)
    assert len(detector.detect(astronaut)) == 1
    model.write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"yunet.onnx' is not a YuNet network"):
        detector.detect(astronaut)


@pytest.mark.real_data
def test_model_is_downloaded_once_on_request(yunet_model, astronaut, cache, site):
    site.content = yunet_model.read_bytes()
    with pytest.raises(FileNotFoundError, match=r"is not installed.*skfer download yunet"):
        in_new_thread(YuNetDetector().detect, astronaut)
    assert site.requests == 0
    assert isinstance(build_detector("auto"), HaarDetector)
    assert isinstance(FaceCropper("auto").detector_, HaarDetector)
    assert download_yunet() == download_yunet() == cache / _yunet.MODEL_NAME
    assert site.requests == 1
    assert len(in_new_thread(YuNetDetector().detect, astronaut)) == 1
    assert isinstance(build_detector("auto"), YuNetDetector)
    assert isinstance(load_pretrained()["cropper"].detector_, YuNetDetector)
    (cache / _yunet.MODEL_NAME).write_bytes(b"another model")
    with pytest.raises(FileNotFoundError, match="is not the YuNet model of this version"):
        in_new_thread(YuNetDetector().detect, astronaut)


def test_failed_downloads(cache, site, monkeypatch):
    site.content = b"not what was asked for"
    with pytest.raises(OSError, match=r"can't be downloaded from http.*SHA-256 ebafce4e"):
        download_yunet()
    assert not list(cache.iterdir())
    monkeypatch.setattr(_yunet, "_MODEL_URL", "http://127.0.0.1:9/yunet.onnx")
    with pytest.raises(
        OSError, match=r"face_detection_yunet_2026may.*YuNetDetector\(model="
    ) as caught:
        download_yunet()
    assert str(cache) in str(caught.value)


def test_missing_file_is_named(astronaut, tmp_path):
    missing = YuNetDetector(tmp_path / "none.onnx")
    for call in (missing.cache_key, lambda: missing.detect(astronaut)):
        with pytest.raises(FileNotFoundError, match=r"The model '.*none.onnx' of YuNet can't"):
            call()
