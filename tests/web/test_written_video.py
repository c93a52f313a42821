import pytest

from skfer.detection import YuNetDetector
from skfer.video import recognize_video

pytestmark = [pytest.mark.real_data, pytest.mark.timeout(300)]


@pytest.mark.slow
def test_chromium_plays_an_annotated_video(
    chromium, face_video, yunet_model, fitted_pipeline, tmp_path
):
    from selenium.webdriver.support.wait import WebDriverWait

    output = tmp_path / "drawn.mp4"
    recognize_video(face_video, fitted_pipeline, detector=YuNetDetector(yunet_model), output=output)
    chromium.get(output.as_uri())

    def video(code):
        return chromium.execute_script(
            f"const video = document.querySelector('video'); return video.{code}"
        )

    def until(code):
        WebDriverWait(chromium, 60).until(lambda _: video(code), f"{code}: {video('error')}")

    until("readyState === HTMLMediaElement.HAVE_ENOUGH_DATA")
    assert (video("videoWidth"), video("videoHeight")) == (596, 336)
    assert video("duration") == pytest.approx(4.6, abs=0.1)
    video("currentTime = 0; video.muted = true; video.play()")
    until("currentTime > 1")
    # Frames were decoded; the clock alone would run without them.
    assert video("getVideoPlaybackQuality().totalVideoFrames") > 5
    video("currentTime = 4")  # the index at the start of the file allows seeking
    until("ended")
    assert video("error") is None
