from __future__ import annotations

import json

import joblib

from skfer import AbstainingClassifier


def test_train_evaluate_predict(skfer, class_folder, photo_files, tmp_path):
    trained = tmp_path / "mine.joblib"
    result = skfer(
        *("train", class_folder, "--output", trained, "--epochs", 2, "--json"),
        *("--set", "classifier__learning_rate=0.01", "--set", "cropper__margin=0.1"),
    )
    assert result.exit_code == 0, result.stderr
    written = json.loads(result.stdout)
    assert written["classes"] == ["happy", "sad"]
    assert len(written["history"]["val_loss"]) == 2
    assert "epoch 2/2: loss " in result.stderr
    pipeline = joblib.load(trained)
    assert pipeline["cropper"].margin == 0.1
    assert pipeline["classifier"].callbacks is None

    scores = json.loads(skfer("evaluate", class_folder, "--model", trained, "--json").stdout)
    assert scores["images"] == 30
    assert sum(map(sum, scores["confusion"])) == 30
    text = skfer("evaluate", class_folder, "--model", trained, "--faces").stdout
    assert f"{scores['accuracy']:.3f}" in text
    assert skfer("predict", photo_files[0], "--model", trained).exit_code == 0


def test_evaluate_names_a_class_that_the_model_does_not_know(skfer, class_folder, model):
    (class_folder / "sad").rename(class_folder / "bored")
    result = skfer("evaluate", class_folder, "--model", model)
    assert result.exit_code == 1
    assert "'bored', which the model does not know" in result.stderr


def test_evaluate_looks_with_the_detector_or_says_that_it_cannot(skfer, class_folder, model):
    bare, around = model.with_name("bare.joblib"), model.with_name("around.joblib")
    pipeline = joblib.load(model)
    joblib.dump(pipeline[1:], bare)
    joblib.dump(AbstainingClassifier(pipeline, threshold=0.5), around)
    evaluate = ("evaluate", class_folder, "--detector", "haar")
    for arguments, why in (
        (("--model", bare), "no FaceCropper"),
        (("--model", model, "--faces"), "--faces looks for none"),
    ):
        result = skfer(*evaluate, *arguments)
        assert result.exit_code == 2
        assert why in result.stderr
    # Drawn faces of 48 pixels are too small to look for: with --faces nobody warns of it.
    result = skfer("evaluate", class_folder, "--model", around, "--faces", "--json")
    assert result.exit_code == 0, result.stderr
    assert "no face found" not in result.stderr
    assert json.loads(result.stdout)["images"] == 30
