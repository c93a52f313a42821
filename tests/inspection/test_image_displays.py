import numpy as np
import pytest

from skfer.datasets import make_faces
from skfer.evaluation import label_report, leak_audit
from skfer.inspection import ImageGridDisplay, LabelReportDisplay, LeakDisplay

FACES = make_faces(40, classes=["happy", "sad", "surprise"], size=32, random_state=0)
WRONG = {3: 0.9, 8: 0.98, 20: 0.95}  # probability of the true label in rows with a wrong label


def overlap(texts):
    boxes = [text.get_window_extent() for text in texts]
    return any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def rows(display):
    return [label.get_text() for label in display.ax_.get_yticklabels()]


def test_sampled_images():
    display = ImageGridDisplay.from_data(FACES.images, FACES.labels, n_images=4, random_state=0)
    assert rows(display) == [
        f"{label}\nn = {(FACES.labels == label).sum()}" for label in display.classes
    ]
    assert display.classes == ["happy", "sad", "surprise"]
    assert len(display.images_) == 12
    assert display.figure_ is display.ax_.figure
    for label, indices, images in zip(
        display.classes, display.indices, display.images, strict=True
    ):
        assert (FACES.labels[indices] == label).all()
        np.testing.assert_array_equal(images, FACES.images[indices])


def test_random_state_of_sampled_images():
    samples = [
        np.concatenate(
            ImageGridDisplay.from_data(FACES.images, FACES.labels, random_state=seed).indices
        ).tolist()
        for seed in (0, 0, 1)
    ]
    assert samples[0] == samples[1] != samples[2]
    assert len(set(samples[0])) == len(samples[0])


def test_other_images_are_not_read(photo_files):
    paths = [f"missing/{number}.png" for number in range(50_000)] + photo_files
    labels = ["absent"] * 50_000 + ["one", "one", "two", "two"]
    display = ImageGridDisplay.from_data(paths, labels, classes=["two", "one"], n_images=2)
    assert rows(display) == ["two\nn = 2", "one\nn = 2"]


def test_unreadable_images(photo_files):
    with pytest.raises(ValueError, match=r"X\[4\] \('missing.png'\) can't be read"):
        ImageGridDisplay.from_data([*photo_files, "missing.png"], list("aaaab"))
    with pytest.raises(ValueError, match="Wrap a single image in a list"):
        ImageGridDisplay.from_data("face.png", ["happy"])
    with pytest.raises(ValueError, match="images is empty"):
        ImageGridDisplay([], classes=[]).plot()


def test_aspect_ratio(photo_files, astronaut):
    batch = [photo_files[0], photo_files[2].read_bytes(), astronaut[:100], astronaut[..., :1] / 255]
    display = ImageGridDisplay.from_data(batch, ["a"] * 4, n_images=4)
    assert len(display.images_) == 4
    for image in display.images_:
        left, right, bottom, top = image.get_extent()
        height, width = image.get_array().shape[:2]
        assert max(height, width) <= 256
        assert (right - left) / (bottom - top) == pytest.approx(width / height)
        assert image.get_array().min() >= 0
        assert image.get_array().max() <= 1


def test_gray_and_colour_images():
    gray = np.array([[0, 51], [102, 255]], np.uint8)
    color = np.stack([gray, gray // 2, gray // 3], axis=-1)
    display = ImageGridDisplay.from_data([gray, color], ["gray", "colour"])
    drawn_color, drawn_gray = (image.get_array() for image in display.images_)
    np.testing.assert_allclose(drawn_gray, gray / 255, rtol=1e-6)
    np.testing.assert_allclose(drawn_color, color / 255, rtol=1e-6)


def test_flat_rows():
    rng = np.random.default_rng(0)
    display = ImageGridDisplay.from_data(rng.random((4, 64 * 64)), [0, 0, 1, 1])
    assert {image.get_array().shape for image in display.images_} == {(64, 64)}


def test_class_with_few_images():
    display = ImageGridDisplay.from_data(FACES.images[:4], ["a", "b", "b", "b"], n_images=3)
    assert [len(row) for row in display.images] == [1, 3]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, (0.25, 0.75)), (0, 255, (0.25, 0.75)), (-1, 1, (0.25, 0.75)), (-400, 400, (0, 1))],
)
def test_scales_of_floats(low, high, expected):
    quarter = (high - low) / 4
    images = np.empty((2, 8, 8))
    images[0], images[1] = low + quarter, high - quarter
    display = ImageGridDisplay.from_data(images, [0, 1])
    values = [image.get_array().flat[0] for image in display.images_]
    np.testing.assert_allclose(values, expected)


def test_predictions():
    predicted = FACES.labels.copy()
    predicted[FACES.labels == "sad"] = "happy"
    display = ImageGridDisplay.from_data(FACES.images, FACES.labels, y_pred=predicted, n_images=2)
    texts = [text.get_text() for text in display.text_]
    cross = "\N{MULTIPLICATION SIGN}"
    assert texts == ["happy"] * 2 + [f"{cross} happy"] * 2 + ["surprise"] * 2
    widths = [frame.get_linewidth() for frame in display.ax_.lines]
    assert widths[2] == widths[3] > widths[0] == widths[1] == widths[4]
    assert display.text_[0].get_weight() != display.text_[2].get_weight()


def test_long_predictions_are_shortened():
    predicted = ["an expression with a long name", *FACES.labels[1:]]
    display = ImageGridDisplay.from_data(
        FACES.images, FACES.labels, y_pred=predicted, n_images=10, random_state=0
    )
    display.figure_.canvas.draw()
    assert not overlap(display.text_)
    assert sum(text.get_text().endswith("…") for text in display.text_) == 1
    box = display.ax_.get_tightbbox()
    assert box.x0 >= 0
    assert box.y0 >= 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_images": 0}, "n_images=0 must be an int of at least 1"),
        ({"classes": ["fear"]}, r"classes=\['fear'\] must be some of the labels in y, \['happy'"),
        ({"classes": []}, r"classes=\[\] must be"),
        ({"y_pred": ["happy"]}, "inconsistent numbers of samples"),
    ],
)
def test_invalid_grid_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        ImageGridDisplay.from_data(FACES.images, FACES.labels, **options)


@pytest.fixture(scope="module")
def report():
    proba = 0.8 * np.eye(3)[FACES.target] + 0.1
    proba /= proba.sum(axis=1, keepdims=True)
    labels = FACES.labels.copy()
    for row, probability in WRONG.items():
        labels[row] = "sad" if FACES.labels[row] == "happy" else "happy"
        proba[row] = (1 - probability) / 2
        proba[row, FACES.target[row]] = probability
    return label_report(labels, proba)


def test_label_report(report):
    display = LabelReportDisplay.from_report(report, FACES.images)
    rows = np.concatenate(display.indices)
    assert sorted(rows) == sorted(WRONG)
    for label, indices in zip(display.classes, display.indices, strict=True):
        probabilities = [WRONG[row] for row in indices]
        assert probabilities == sorted(probabilities, reverse=True)
        assert (report.set_index("row").loc[indices, "given"] == label).all()
    drawn = [image for images in display.images for image in images]
    np.testing.assert_array_equal(drawn, FACES.images[rows])
    suggested = [text.get_text().split()[-1] for text in display.text_]
    assert suggested == FACES.labels[rows].tolist()


def test_part_of_a_label_report(report):
    (label,) = report.loc[:0, "given"]
    display = LabelReportDisplay.from_report(report, FACES.images, n_images=1, classes=[label])
    assert [indices.tolist() for indices in display.indices] == [[8]]
    count = (report["issue"] & (report["given"] == label)).sum()
    assert [text.get_text() for text in display.ax_.get_yticklabels()] == [f"{label}\nn = {count}"]


def test_only_images_of_a_label_report_are_read(report, photo_files):
    paths = [f"missing/{row}.png" for row in range(40)]
    for row, path in zip(WRONG, photo_files[:3], strict=True):
        paths[row] = path
    assert len(LabelReportDisplay.from_report(report, paths).images_) == 3


def test_invalid_label_reports(report):
    with pytest.raises(ValueError, match="X holds 30 images, but the report names row 39"):
        LabelReportDisplay.from_report(report, FACES.images[:30])
    with pytest.raises(ValueError, match="n_images=0 must be an int of at least 1"):
        LabelReportDisplay.from_report(report, FACES.images, n_images=0)
    with pytest.raises(ValueError, match=r"classes=\['surprise'\] must be some of the labels with"):
        LabelReportDisplay.from_report(report, FACES.images, classes=["surprise"])
    with pytest.raises(ValueError, match="flags no label"):
        LabelReportDisplay.from_report(report.assign(issue=False), FACES.images)


@pytest.fixture(scope="module")
def leaks():
    images = make_faces(30, random_state=0).images
    test = np.concatenate([images[:3], images[5:9] // 2, images[28:]])
    train = images[:25]
    return leak_audit(train, test), train, test


def test_leaked_pairs(leaks):
    audit, train, test = leaks
    display = LeakDisplay.from_audit(audit, train, test)
    assert len(display.images_) == 2 * len(audit.pairs) == 14
    first = display.pairs.iloc[0]
    np.testing.assert_allclose(display.images_[0].get_array(), test[first["test"]] / 255, rtol=1e-6)
    np.testing.assert_allclose(
        display.images_[1].get_array(), train[first["train"]] / 255, rtol=1e-6
    )
    assert display.images_[0].get_extent()[3] < display.images_[1].get_extent()[3]
    assert display.pairs["similarity"].is_monotonic_decreasing


def test_leaked_pairs_of_flat_rows(leaks):
    audit, train, test = leaks
    display = LeakDisplay.from_audit(audit, train, test)
    flat = LeakDisplay.from_audit(
        audit, train.reshape(len(train), -1) / 255, test.reshape(len(test), -1) / 255
    )
    np.testing.assert_allclose(
        flat.images_[0].get_array(), display.images_[0].get_array(), rtol=1e-6
    )


def test_sampled_pairs_of_a_kind(leaks):
    audit, train, test = leaks
    displays = [
        LeakDisplay.from_audit(
            audit, list(train), list(test / 255), kind="near copy", n_pairs=2, random_state=seed
        )
        for seed in (0, 0, 3)
    ]
    assert set(displays[0].pairs["kind"]) == {"near copy"}
    assert len(displays[0].text_) == 2
    assert displays[0].pairs.equals(displays[1].pairs)
    assert not displays[0].pairs.equals(displays[2].pairs)


def test_invalid_pairs(leaks):
    audit, train, test = leaks
    with pytest.raises(ValueError, match="kind='mirrored copy': the audit found no such pairs"):
        LeakDisplay.from_audit(audit, train, test, kind="mirrored copy")
    with pytest.raises(ValueError, match="n_pairs=0"):
        LeakDisplay.from_audit(audit, train, test, n_pairs=0)
