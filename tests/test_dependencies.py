import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
TRAINING_ONLY = {"tensorflow", "keras", "scikeras", "h5py"}

WITHOUT_KERAS = """
import sys
sys.modules["keras"] = None
import importlib.metadata
version = importlib.metadata.version
def patched(name):
    if name in ("keras", "tensorflow"):
        raise importlib.metadata.PackageNotFoundError(name)
    return version(name)
importlib.metadata.version = patched

import numpy as np, skfer
images = np.zeros((2, 48, 48, 1), np.uint8)
model = skfer.load_pretrained()
skfer.save(model, sys.argv[1])
loaded = skfer.load(sys.argv[1])[-1]
assert (loaded.predict(images) == model[-1].predict(images)).all()
new = skfer.FacialExpressionClassifier()
for needs_keras in (lambda: loaded.network_, lambda: new.fit(images, [0, 1])):
    try:
        needs_keras()
    except ImportError as error:
        assert "keras is not installed: pip install" in str(error), error
    else:
        raise AssertionError
"""


def test_requirements_of_predictions():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "requirements-predict.txt").read_text().splitlines()
    requirements = {line.replace("-headless", "") for line in lines if not line.startswith("#")}
    assert requirements == {
        line for line in project["dependencies"] if re.split("[<>=]", line)[0] not in TRAINING_ONLY
    }


def test_predictions_without_keras(tmp_path):
    process = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WITHOUT_KERAS, str(tmp_path / "model.skfer")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (process.returncode, process.stderr) == (0, "")
