from __future__ import annotations

import shutil

import pytest
from _web import BrightnessReader

from skfer.web import create_app

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--window-size=1280,1000",
)


@pytest.fixture
def reader():
    return BrightnessReader()


@pytest.fixture
def client(reader):
    return create_app(reader).test_client()


@pytest.fixture(scope="session")
def face_video(skfer_data):
    return skfer_data / "data" / "face_video.mp4"


@pytest.fixture(scope="session")
def camera_file(face_video, tmp_path_factory):
    """The video as Chromium's camera plays it, over and over."""
    av = pytest.importorskip("av", reason='PyAV is not installed: pip install "skfer[video]"')
    path = tmp_path_factory.mktemp("camera") / "face.y4m"
    with av.open(str(face_video)) as video, av.open(str(path), "w", format="yuv4mpegpipe") as out:
        stream = out.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 596, 336, "yuv420p"
        for frame in video.decode(video=0):
            plain = frame.reformat(format="yuv420p")
            plain.pts = None
            out.mux(stream.encode(plain))
        out.mux(stream.encode())
    return path


@pytest.fixture(scope="session")
def downloads(tmp_path_factory):
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="session")
def chromium(camera_file, downloads, tmp_path_factory):
    programs = [shutil.which("chromium"), shutil.which("chromedriver")]
    if None in programs:
        pytest.skip("no Chromium: apt-get install -y chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver")

    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for flag in (
        *_FLAGS,
        f"--use-file-for-fake-video-capture={camera_file}",
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(executable_path=programs[1])
    )
    yield driver
    driver.quit()
