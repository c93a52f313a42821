import shutil

import av
import pytest
from _web import BrightnessReader

from skfer.web import create_app

_FLAGS = (
    "headless=new no-sandbox disable-gpu disable-quic no-first-run disable-background-networking "
    "disable-component-update disable-sync disable-dev-shm-usage window-size=1280,1000 "
    "use-fake-device-for-media-stream use-fake-ui-for-media-stream"
)


@pytest.fixture
def reader():
    return BrightnessReader()


@pytest.fixture
def client(reader):
    return create_app(reader).test_client()


@pytest.fixture(scope="session")
def camera_file(face_video, tmp_path_factory):
    """The video in the format of Chromium's fake camera."""
    path = tmp_path_factory.mktemp("camera") / "face.y4m"
    with av.open(str(face_video)) as video, av.open(str(path), "w", format="yuv4mpegpipe") as out:
        stream = out.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 596, 336, "yuv420p"
        for frame in video.decode(video=0):
            frame = frame.reformat(format="yuv420p")
            frame.pts = None
            out.mux(stream.encode(frame))
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

    profile = tmp_path_factory.mktemp("profile")
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    flags = f"{_FLAGS} use-file-for-fake-video-capture={camera_file} user-data-dir={profile}"
    for flag in flags.split():
        options.add_argument(f"--{flag}")
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(programs[1]))
    yield driver
    driver.quit()
