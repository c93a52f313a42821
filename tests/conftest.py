import os
from pathlib import Path

import _utils
import cv2
import pytest
from skimage import data


@pytest.fixture(scope="session")
def astronaut():
    """A photo of Eileen Collins, (512, 512, 3) uint8 RGB; its face lies in (177, 66, 95, 95)."""
    photo = data.astronaut()
    photo.flags.writeable = False
    return photo


@pytest.fixture
def photo_files(tmp_path, astronaut):
    """Four files with one face each, of differing size, format and colour."""
    bgr = cv2.cvtColor(astronaut, cv2.COLOR_RGB2BGR)
    photos = {
        "whole.png": bgr,
        "part.jpg": bgr[:300, 50:400],
        "gray.png": cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)[:250, 100:350],
        "small.bmp": cv2.resize(bgr, (256, 256), interpolation=cv2.INTER_AREA),
    }
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, photo in photos.items():
        assert cv2.imwrite(str(folder / name), photo)
    return [folder / name for name in photos]


@pytest.fixture
def encoded(astronaut):
    """A photo as the bytes of an image file of that ending."""
    bgr = cv2.cvtColor(astronaut, cv2.COLOR_RGB2BGR)
    return lambda ending: cv2.imencode(ending, bgr)[1].tobytes()


@pytest.fixture
def figures_in_memory():
    """Drawing needs no screen, and leaves no figure open."""
    import matplotlib.pyplot as plt

    before = plt.get_backend()
    plt.switch_backend("Agg")
    yield
    plt.close("all")
    plt.switch_backend(before)


@pytest.fixture
def tiny_network():
    """A function (input_shape, n_outputs) -> keras.Model that worker processes can import."""
    return _utils.tiny_network


@pytest.fixture
def small_network():
    """The same with batch normalisation and dropout: a network that has a state."""
    return _utils.small_network


@pytest.fixture(scope="session")
def faces():
    """70 drawn faces of three classes, 24 x 24 pixels."""
    from skfer.datasets import make_faces

    return make_faces(70, classes=["happy", "sad", "surprise"], size=24, random_state=0)


@pytest.fixture(scope="session")
def fitted_pipeline():
    """Photos in, "happy", "sad" or "surprise" out; fitted on drawn faces in a moment."""
    from sklearn.pipeline import Pipeline

    from skfer import FaceCropper, FacialExpressionClassifier, GrayscaleResizer
    from skfer.datasets import make_faces

    faces = make_faces(60, classes=["happy", "sad", "surprise"], random_state=0)
    classifier = FacialExpressionClassifier(_utils.tiny_network, epochs=3, random_state=0)
    classifier.fit(faces.images, faces.labels)
    return Pipeline(
        [
            ("cropper", FaceCropper(margin=0.1)),
            ("resizer", GrayscaleResizer(48)),
            ("classifier", classifier),
        ]
    )


@pytest.fixture(scope="session")
def skfer_data():
    """The folder of real data."""
    folder = os.environ.get("SKFER_DATA")
    if not folder:
        pytest.skip("set SKFER_DATA to the folder that holds data/fer2013.npz")
    return Path(folder)


def existing(path):
    if not path.exists():
        pytest.skip(f"there is no {path}")
    return path


@pytest.fixture(scope="session")
def yunet_model(skfer_data):
    """The path of YuNet's ONNX file."""
    return existing(skfer_data / "models" / "face_detection_yunet_2026may.onnx")


@pytest.fixture(scope="session")
def face_video(skfer_data):
    """The path of a video of one face."""
    return existing(skfer_data / "data" / "face_video.mp4")


@pytest.fixture(scope="session")
def fer2013_file(skfer_data):
    return existing(skfer_data / "data" / "fer2013.npz")


@pytest.fixture(scope="session")
def fer2013(fer2013_file):
    """FER2013 as `load_fer2013` returns it."""
    from skfer.datasets import load_fer2013

    return load_fer2013(fer2013_file)
