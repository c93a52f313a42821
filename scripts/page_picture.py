"""Take a screenshot of the web page with drawn faces as the camera of Chromium, for the README.

    python scripts/page_picture.py docs/images/page.jpg

Needs Debian's chromium and chromium-driver.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import threading
import time
from pathlib import Path

import av
import cv2
import numpy as np
from check_docs import chromium
from selenium.webdriver.support.ui import WebDriverWait
from werkzeug.serving import make_server

from skfer.datasets import make_faces
from skfer.web import Readers, create_app

SIZE = (480, 640)  # height and width of the camera's picture
FRAMES_PER_FACE, RATE = 100, 25


def write_video(path: Path) -> None:
    """Write one drawn person after another to a video for the camera of Chromium."""
    classes = ["happy", "surprise"]
    faces = make_faces(
        4, classes=classes, scene=SIZE, color=True, pose=0, occlusion=0, random_state=4
    )
    with av.open(str(path), "w", format="yuv4mpegpipe") as out:
        stream = out.add_stream("rawvideo", rate=RATE)
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuv420p"
        for image in faces.images:
            for _ in range(FRAMES_PER_FACE):
                out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(stream.encode())


def take_screenshot(url: str, camera: Path, picture: Path) -> None:
    """Start the camera, wait for a change from surprise to happy, and take the screenshot."""
    with chromium(
        "--hide-scrollbars",
        "--window-size=1280,1420",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={camera}",
    ) as browser:
        browser.get(url)
        for name in ("camera", "agreed", "consent-start"):
            browser.find_element("id", name).click()
        label = browser.find_element("id", "label")

        def wait_for(expression: str) -> None:
            WebDriverWait(browser, 60).until(
                lambda _: label.get_dom_attribute("data-expression") == expression
            )

        wait_for("surprise")
        wait_for("happy")
        time.sleep(0.4 * FRAMES_PER_FACE / RATE)  # the next face comes later
        screen = np.frombuffer(browser.get_screenshot_as_png(), np.uint8)
        image = cv2.imdecode(screen, cv2.IMREAD_COLOR)
        cv2.imwrite(str(picture), image, [cv2.IMWRITE_JPEG_QUALITY, 80])


def main() -> None:
    """Write the video, serve the page and take the screenshot."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("picture", type=Path)
    arguments = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    app = create_app(Readers.of("fer2013"))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="skfer-still-") as folder:
        camera = Path(folder) / "faces.y4m"
        write_video(camera)
        take_screenshot(f"http://127.0.0.1:{server.port}/", camera, arguments.picture)
    server.shutdown()


if __name__ == "__main__":
    main()
