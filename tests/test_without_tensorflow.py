import os
import subprocess
import sys

import pytest
from _videos import write_clip

HEAVY = ("tensorflow", "keras", "scikeras", "matplotlib")
CHECK = f"""
import sys
found = [name for name in {HEAVY} if name in sys.modules]
assert not found, found
"""


def run(code, *arguments, **options):
    return subprocess.run(
        [sys.executable, "-c", code + CHECK, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        **options,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A photo, a clip, and a fitted Pipeline as a pickle and as a file of `skfer.save`."""
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


# Ask a started server from a thread, then stop it.
SERVE = """
import os, signal, socket, threading, time, urllib.request
from skfer.web import serve

signal.signal(signal.SIGINT, signal.default_int_handler)
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
url = f"http://127.0.0.1:{port}/api/v1/"
answers = []

def ask():
    try:
        while not answers:
            try:
                answers.append(urllib.request.urlopen(url + "health").read())
            except OSError:
                time.sleep(0.05)
        photo = open(sys.argv[1], "rb").read()
        answers.append(urllib.request.urlopen(url + "recognize", photo).read())
    finally:
        os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=ask).start()
serve(port=port, verbose=0)
assert b"status" in answers[0] and b"faces" in answers[1], answers
"""

ACTIONS = {
    "import": "from skfer import FacialExpressionClassifier, load_pretrained, recognize",
    "predict": "import skfer; assert len(skfer.load_pretrained().predict([sys.argv[1]])) == 1",
    "predict_proba": (
        "import skfer; p = skfer.load_pretrained('ferplus').predict_proba([sys.argv[1]]);"
        "assert p.shape == (1, 8)"
    ),
    "int8": (
        "import skfer; m = skfer.load_pretrained().set_params(classifier__backend='onnx-int8');"
        "m.predict([sys.argv[1]])"
    ),
    "embed": (
        "import skfer; from sklearn.frozen import FrozenEstimator as F;"
        "m = skfer.load_pretrained(); e = skfer.ExpressionEmbedder(F(m[1:])).fit([sys.argv[1]]);"
        "assert e.transform([sys.argv[1]]).shape[1] > 10"
    ),
    "recognize": "import skfer; skfer.recognize([sys.argv[1]])",
    "annotate": "import skfer; skfer.annotate(sys.argv[1], skfer.recognize([sys.argv[1]]))",
    "load": "import skfer; assert len(skfer.load(sys.argv[2]).predict([sys.argv[1]])) == 1",
    "unpickle": "import joblib; assert len(joblib.load(sys.argv[3]).predict([sys.argv[1]])) == 1",
    "import web": "import skfer.web; assert 'sklearn' not in sys.modules",
    "serve": SERVE,
    "shell predict": (
        "from skfer.cli._app import app; app(['predict', sys.argv[1]], standalone_mode=False);"
        "assert not {'onnx', 'sklearn.model_selection'} & set(sys.modules)"
    ),
    "recognize_video": (
        "from skfer.video import recognize_video; assert recognize_video(sys.argv[4]).n_frames == 3"
    ),
    "shell video": (
        "from skfer.cli._app import app; app(['video', sys.argv[4], '--json', '-o',"
        " sys.argv[4] + '.mp4'], standalone_mode=False)"
    ),
}


@pytest.mark.filterwarnings("ignore:.* no face found")
@pytest.mark.parametrize("action", ACTIONS)
def test_prediction_imports_no_training_packages(action, folder):
    files = (folder / name for name in ("photo.png", "model.skfer", "model.joblib", "clip.mp4"))
    done = run("import sys;" + ACTIONS[action], *files)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if "face" not in line]
    assert not [line for line in lines if "warn" not in line.lower()], done.stderr


def test_loaded_models_predict_the_same(folder, tmp_path):
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
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    done = run("import sys;" + ACTIONS["predict"], folder / "photo.png", env=environment)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())
