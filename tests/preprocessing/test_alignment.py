import cv2
import numpy as np
import pytest

from skfer import FaceCropper
from skfer.detection import Detections, HaarDetector, YuNetDetector

# Median landmarks of the faces of FER2013, in a square of 100 pixels.
UPRIGHT = np.array([[31.5, 39.2], [68.5, 39.2], [50, 59.4], [35.3, 76.2], [64.7, 76.2]])
ASTRONAUT = np.array([[202, 101], [246, 103], [223, 127], [201, 139], [244, 141]], float)


class FixedDetector:
    def __init__(self, boxes, landmarks):
        self.faces = Detections(boxes, np.ones(len(boxes)), landmarks)

    def detect(self, image):
        return self.faces


def align(image, landmarks, **settings):
    faces = FixedDetector([[0, 0, 30, 30]], [landmarks])
    return FaceCropper(faces, align=True, **settings).transform([image])[0]


def rotate(photo, degrees, scale):
    matrix = cv2.getRotationMatrix2D((224, 115), degrees, scale)
    matrix[:, 2] += [150, 150]
    photo = cv2.warpAffine(photo, matrix, (700, 700), flags=cv2.INTER_CUBIC)
    # OpenCV's origin is the centre of the first pixel, that of landmarks its corner.
    return photo, cv2.transform(ASTRONAUT[np.newaxis] - 0.5, matrix)[0] + 0.5


def correlation(crop, other):
    one, other = (
        cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (48, 48), interpolation=cv2.INTER_AREA)
        for image in (crop, other)
    )
    return np.corrcoef(one.ravel(), other.ravel())[0, 1]


@pytest.mark.parametrize("margin", [0.0, 0.25])
def test_upright_face_equals_a_crop_by_box(astronaut, margin):
    by_box = FaceCropper(FixedDetector([[170, 60, 100, 100]], None), margin=margin)
    crop = align(astronaut, UPRIGHT + [170, 60], margin=margin)
    (expected,) = by_box.transform([astronaut])
    assert crop.shape == expected.shape
    np.testing.assert_allclose(crop, expected, atol=1)


@pytest.mark.parametrize("degrees", [0, 30])
def test_border_is_mirrored(astronaut, degrees):
    photo, landmarks = rotate(astronaut, degrees, 1)
    left, top = np.floor(landmarks.min(axis=0)).astype(int)
    mirrored = cv2.copyMakeBorder(photo[top:, left:], 150, 0, 150, 0, cv2.BORDER_REFLECT_101)
    crop = align(photo[top:, left:], landmarks - [left, top], margin=0.2)
    expected = align(mirrored, landmarks - [left, top] + 150, margin=0.2)
    np.testing.assert_allclose(crop, expected, atol=2)


@pytest.mark.parametrize("point", [np.nan, 12])
def test_landmarks_without_an_extent_are_ignored(astronaut, point):
    crop = align(astronaut, np.full((5, 2), point))
    np.testing.assert_array_equal(crop, astronaut[:30, :30])


@pytest.mark.parametrize(("degrees", "scale"), [(20, 1), (-45, 1), (0, 0.7), (160, 1.3)])
def test_rotation_and_scale(astronaut, degrees, scale):
    photo, landmarks = rotate(astronaut, degrees, scale)
    crop = align(photo, landmarks, margin=0.1)
    upright = align(astronaut, ASTRONAUT, margin=0.1)
    assert correlation(crop, upright) > 0.99
    # The crop keeps the resolution of the photo.
    assert len(crop) == pytest.approx(len(upright) * scale, abs=2)


def test_positions_of_the_eyes():
    eyes = np.zeros((300, 300), np.uint8)
    turn = cv2.getRotationMatrix2D((150, 150), 25, 1)
    landmarks = cv2.transform((UPRIGHT + [100, 90])[np.newaxis], turn)[0]
    for x, y in landmarks[:2]:
        cv2.circle(eyes, (round(x), round(y)), 3, 255, -1)
    crop = align(eyes, landmarks)
    y, x = np.nonzero(crop > 128)
    for side, eye in ((x < 50, UPRIGHT[0]), (x >= 50, UPRIGHT[1])):
        np.testing.assert_allclose([x[side].mean(), y[side].mean()], eye, atol=1)


@pytest.mark.parametrize("shape", [(90, 80), (90, 80, 1), (90, 80, 3), (1, 1)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_dtype_and_channels(shape, dtype):
    image = np.random.default_rng(0).uniform(0, 255, shape).astype(dtype)
    crop = align(image, UPRIGHT, margin=2)
    assert crop.shape == (500, 500, *shape[2:])
    assert crop.dtype == dtype
    assert image.min() <= crop.min()
    assert crop.max() <= image.max()


@pytest.mark.parametrize("detector", ["haar", HaarDetector()])
@pytest.mark.parametrize("method", ["fit", "transform"])
def test_detector_without_landmarks(astronaut, detector, method):
    cropper = FaceCropper(detector, align=True)
    with pytest.raises(ValueError, match=r"align=True needs landmarks.*'mtcnn' or 'yunet'"):
        getattr(cropper, method)([astronaut])


def test_custom_detector_without_landmarks(astronaut):
    cropper = FaceCropper(FixedDetector([[0, 0, 30, 30]], None), align=True)
    with pytest.raises(ValueError, match="align=True needs landmarks"):
        cropper.fit_transform([astronaut])


@pytest.mark.parametrize("align", [True, False])
def test_cut_of_detected_faces(astronaut, photo_files, align):
    boxes, landmarks = [[0, 0, 90, 80], [170, 60, 100, 100]], [UPRIGHT, ASTRONAUT]
    cropper = FaceCropper(FixedDetector(boxes, landmarks), align=align, margin=0.1)
    (faces,) = cropper.detect([astronaut])
    crops = cropper.cut(astronaut, faces)
    assert len(crops) == 2
    np.testing.assert_array_equal(crops[0], cropper.transform([astronaut])[0])
    np.testing.assert_array_equal(cropper.cut(photo_files[0], faces)[0], crops[0])
    assert cropper.cut(astronaut, faces.take([])) == []


def test_cut_of_an_image_below_whole_below():
    face = np.arange(2304, dtype=np.uint8).reshape(48, 48)
    cropper = FaceCropper(whole_below=64, margin=0.3)
    (crop,) = cropper.cut(face, cropper.detect([face])[0])
    np.testing.assert_array_equal(crop, face)


@pytest.mark.real_data
@pytest.mark.parametrize("degrees", [-25, 25])
def test_yunet(yunet_model, astronaut, degrees):
    photo, _ = rotate(astronaut, degrees, 1)
    yunet = YuNetDetector(yunet_model)
    tilted, upright = FaceCropper(yunet, align=True).transform([photo, astronaut])
    by_box, upright_box = FaceCropper(yunet).transform([photo, astronaut])
    assert correlation(tilted, upright) > 0.85
    assert correlation(by_box, upright_box) < 0.7
