import os
import subprocess
import sys

import pytest
from _videos import write_clip

HEAVY = ("tensorflow", "keras", "scikeras", "matplotlib")


def run(code, *arguments, **options):
    """Run lines of code and check after each line that no heavy package is imported."""
    check = f"; names = [name for name in {HEAVY} if name in sys.modules]; assert not names, names"
    steps = code if isinstance(code, str) else "\n".join(step + check for step in code)
    return subprocess.run(
        [sys.executable, "-c", f"import sys\n{steps}\npass{check}", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        **options,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A photo, a video, and a fitted pipeline saved by joblib and by `skfer.save`."""
    import cv2
    import joblib

    import skfer
    from skfer.datasets import make_faces

    folder = tmp_path_factory.mktemp("files")
    faces = make_faces(60, classes=["happy", "sad"], size=24, random_state=0)
    pipeline = skfer.load_pretrained().set_params(resizer__size=24)
    pipeline.set_params(
        classifier=skfer.FacialExpressionClassifier("small_cnn", epochs=1, random_state=0)
    )
    pipeline.fit(list(faces.images), faces.labels)
    joblib.dump(pipeline, folder / "model.joblib")
    skfer.save(pipeline, folder / "model.skfer")
    photo = make_faces(1, size=128, color=True, random_state=0).images[0]
    cv2.imwrite(str(folder / "photo.png"), photo[..., ::-1])
    write_clip(folder / "clip.mp4", [photo] * 3)
    return folder


# Start a server, send requests from a thread and stop it.
SERVE = """
import os, signal, socket, threading, time, urllib.request
from skfer.web import serve

signal.signal(signal.SIGINT, signal.default_int_handler)
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
url = f"http://127.0.0.1:{port}/api/v1/"
responses = []

def send_requests():
    try:
        while not responses:
            try:
                responses.append(urllib.request.urlopen(url + "health").read())
            except OSError:
                time.sleep(0.05)
        photo = open(sys.argv[1], "rb").read()
        responses.append(urllib.request.urlopen(url + "recognize", photo).read())
    finally:
        os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=send_requests).start()
serve(port=port, verbose=0)
assert b"status" in responses[0] and b"faces" in responses[1], responses
"""

ACTIONS = {
    "library": [
        "import skfer; from skfer import FacialExpressionClassifier, load_pretrained, recognize",
        "photo = [sys.argv[1]]",
        "assert len(load_pretrained().predict(photo)) == 1",
        "assert load_pretrained('ferplus').predict_proba(photo).shape == (1, 8)",
        "from sklearn.frozen import FrozenEstimator; body = FrozenEstimator(load_pretrained()[1:])",
        "assert skfer.ExpressionEmbedder(body).fit(photo).transform(photo).shape[1] > 10",
        "skfer.annotate(*photo, recognize(photo))",
        "assert len(skfer.load(sys.argv[2]).predict(photo)) == 1",
    ],
    "unpickle": [
        "import joblib",
        "assert len(joblib.load(sys.argv[3]).predict([sys.argv[1]])) == 1",
    ],
    "import all": ["from skfer import *; assert callable(export_onnx)"],
    "import web": ["import skfer.web; assert 'sklearn' not in sys.modules"],
    "serve": SERVE,
    "shell predict": [
        "from skfer.cli._app import app; app(['predict', sys.argv[1]], standalone_mode=False)",
        "assert not {'onnx', 'sklearn.model_selection'} & set(sys.modules)",
    ],
    "video": [
        "from skfer.video import recognize_video",
        "assert recognize_video(sys.argv[4]).n_frames == 3",
        "from skfer.cli._app import app; out = sys.argv[4] + '.mp4'",
        "app(['video', sys.argv[4], '--json', '-o', out], standalone_mode=False)",
    ],
}


@pytest.mark.filterwarnings("ignore:.* no face found")
@pytest.mark.parametrize("action", ACTIONS)
def test_imports_of_predictions(action, folder, tmp_path):
    files = (folder / name for name in ("photo.png", "model.skfer", "model.joblib", "clip.mp4"))
    process = run(ACTIONS[action], *files, env=os.environ | {"TMPDIR": str(tmp_path)})
    assert process.returncode == 0, process.stderr
    assert not list(tmp_path.iterdir())
    lines = [line for line in process.stderr.splitlines() if "face" not in line]
    assert not [line for line in lines if "warn" not in line.lower()], process.stderr


def test_loaded_models(folder):
    import joblib

    import skfer

    photos = [str(folder / "photo.png")]
    saved, pickled = skfer.load(folder / "model.skfer"), joblib.load(folder / "model.joblib")
    expected = saved.predict_proba(photos)
    assert (pickled.predict_proba(photos) == expected).all()
    saved["classifier"].network_  # noqa: B018
    assert (saved.predict_proba(photos) == expected).all()
    saved.set_params(classifier__backend="keras")
    assert abs(saved.predict_proba(photos) - expected).max() < 1e-5


@pytest.mark.parametrize(("verbose", "first"), [("'auto'", ""), ("2", "Loading TensorFlow ...")])
def test_fit_prints_that_tensorflow_is_loaded(verbose, first):
    code = f"""
import numpy as np
from skfer import FacialExpressionClassifier
X, y = np.zeros((8, 16, 16, 1)), ["happy", "sad"] * 4
FacialExpressionClassifier("small_cnn", epochs=1, verbose={verbose}).fit(X, y)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.partition("\n")[0] == first
