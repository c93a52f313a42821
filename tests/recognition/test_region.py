import numpy as np
import pytest
from _videos import BrightSquares, picture, write_clip

from skfer import load_pretrained, recognize
from skfer.recognition import FaceReader
from skfer.video import follow_faces, recognize_video

# Squares of 32 pixels, on the left and on the right.
TWO = picture((10, 30), (120, 40))


def boxes(pipeline, region, images=(TWO,)):
    reader = FaceReader(pipeline, detector=BrightSquares(), region=region)
    return [reading.detections.boxes.tolist() for reading in reader.read(list(images))]


@pytest.mark.parametrize("region", [(0.5, 0, 1, 1), (80, 0, 160, 96), (79.6, 10.2, 160, 90.4)])
def test_faces_are_searched_in_the_region(fitted_pipeline, region):
    assert boxes(fitted_pipeline, region) == [[[120, 40, 32, 32]]]


@pytest.mark.parametrize("region", [None, (0, 0, 1, 1), (0, 0, 160, 96), [0.0, 0.0, 1.0, 1.0]])
def test_region_of_the_whole_image(fitted_pipeline, region):
    assert sorted(boxes(fitted_pipeline, region)[0]) == [[10, 30, 32, 32], [120, 40, 32, 32]]


@pytest.mark.parametrize(
    "region",
    [
        (0, 0, 1),
        (0.5, 0, 0.5, 1),
        (0, 50, 80, 20),
        (-1, 0, 5, 5),
        (0, 0, np.nan, 1),
        "abcd",
        5,
    ],
)
def test_invalid_regions(fitted_pipeline, region):
    with pytest.raises(ValueError, match=r"region must be .*\(left, top, right, bottom\)"):
        FaceReader(fitted_pipeline, region=region)


def test_fractions_of_images_of_different_sizes(fitted_pipeline):
    images = [TWO, picture((40, 20), size=(60, 80))]
    detected = boxes(fitted_pipeline, (0.5, 0, 1, 1), images)
    assert detected == [[[120, 40, 32, 32]], [[40, 20, 32, 32]]]


def test_region_changes_no_probabilities(fitted_pipeline):
    whole = FaceReader(fitted_pipeline, detector=BrightSquares()).read([TWO])[0]
    part = FaceReader(fitted_pipeline, detector=BrightSquares(), region=(0.5, 0, 1, 1)).read([TWO])
    right = whole.detections.boxes[:, 0] == 120
    np.testing.assert_allclose(part[0].probabilities, whole.probabilities[right], atol=1e-6)


def test_landmarks_in_a_region(fitted_pipeline):
    class WithLandmarks(BrightSquares):
        def detect(self, image):
            faces = super().detect(image)
            points = faces.boxes[:, np.newaxis, :2] + np.arange(10).reshape(5, 2)
            return type(faces)(faces.boxes, faces.scores, points)

    reader = FaceReader(fitted_pipeline, detector=WithLandmarks(), region=(0.5, 0.25, 1, 1))
    (reading,) = reader.read([TWO])
    np.testing.assert_array_equal(
        reading.detections.landmarks[0], [120, 40] + np.arange(10).reshape(5, 2)
    )


def test_regions_smaller_than_whole_below():
    model = load_pretrained("fer2013")  # takes images below 64 pixels as faces
    assert boxes(model, (0, 60, 50, 96)) == [[]]
    assert boxes(model, (5, 25, 50, 70)) == [[[10, 30, 32, 32]]]
    # The crop of such an image is the whole image, so the box is, too.
    assert boxes(model, (0, 0, 0.5, 1), [picture(size=(48, 48))]) == [[[0, 0, 48, 48]]]


def test_region_beyond_an_image(fitted_pipeline):
    with pytest.raises(ValueError, match=r"\(0, 0, 200, 90\) extends beyond X\[0\].*160 x 96"):
        boxes(fitted_pipeline, (0, 0, 200, 90))
    table = recognize(
        [TWO, picture((20, 20), size=(300, 300))],
        FaceReader(fitted_pipeline, detector=BrightSquares(), region=(0, 0, 200, 90)),
        on_error="keep",
    )
    assert table["error"].notna().tolist() == [True, False]


def test_region_of_recognize(fitted_pipeline):
    region = (0.5, 0, 1, 1)
    table = recognize([TWO], fitted_pipeline, detector=BrightSquares(), region=region)
    assert table["x"].tolist() == [120]
    reader = FaceReader(fitted_pipeline, detector=BrightSquares())
    with pytest.raises(ValueError, match="own detector, n_jobs and region"):
        recognize([TWO], reader, region=(0, 0, 1, 1))


def test_region_of_videos(fitted_pipeline, tmp_path):
    region, detector = (0.5, 0, 1, 1), BrightSquares()
    clip = write_clip(tmp_path / "two.mp4", [TWO] * 3)
    report = recognize_video(clip, fitted_pipeline, detector=detector, region=region)
    assert report.faces["x"].tolist() == [120] * 3
    with pytest.raises(ValueError, match=r"extends beyond the frame.*160 x 96"):
        recognize_video(clip, fitted_pipeline, detector=detector, region=(0, 0, 200, 90))
    frames = follow_faces(clip, fitted_pipeline, detector=detector, region=region)
    assert [face.box[0] for frame in frames for face in frame.faces] == [120] * 3
