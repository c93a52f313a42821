"""Reader with predictable results, and a server for it."""

import threading
from contextlib import contextmanager

import numpy as np
from waitress import wasyncore

from skfer.detection import HaarDetector
from skfer.recognition import FaceReading
from skfer.web import Limits, create_app
from skfer.web._server import address, make_server

RECOGNIZE, VIDEO = "/api/v1/recognize", "/api/v1/video"


class BrightnessReader:
    """Reader whose probability of "happy" is the brightness of a face.

    The brightness rises and falls in the video of the tests.
    """

    classes = ["happy", "sad"]

    def __init__(self):
        self.n_images = 0
        self.concurrent = self.max_concurrent = 0
        self._lock = threading.Lock()

    def read(self, images):
        with self._lock:
            self.n_images += len(images)
            self.concurrent += 1
            self.max_concurrent = max(self.concurrent, self.max_concurrent)
        readings = [self._read_one(image) for image in images]
        with self._lock:
            self.concurrent -= 1
        return readings

    def _read_one(self, image):
        faces = HaarDetector(min_face_size=36).detect(image)
        brightness = [
            np.mean(image[y : y + height, x : x + width])
            for x, y, width, height in np.maximum(faces.boxes, 0)
        ]
        happy = np.clip((np.array(brightness) - 68) / 20, 0.02, 0.98)
        return FaceReading(faces, np.column_stack([happy, 1 - happy]))


@contextmanager
def served(reader, **settings):
    """Serve the page of a reader on a free port and yield its address."""
    limits = settings.setdefault("limits", Limits())
    server = make_server(create_app(reader, **settings), "127.0.0.1", 0, limits)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield address(server)
    finally:
        # The sockets must be closed in the thread that polls them.
        server.trigger.pull_trigger(lambda: wasyncore.close_all(server._map))
        thread.join(20)
        server.task_dispatcher.shutdown()


def message(response, status):
    """Check the status and the format of an error and return its message."""
    assert response.status_code == status
    error = response.json["error"]
    assert error["status"] == status
    assert error["name"]
    return error["message"]
