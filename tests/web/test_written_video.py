"""The annotated file of a video, opened in a real Chromium."""

from __future__ import annotations

import pytest

from skfer.detection import YuNetDetector
from skfer.video import recognize_video

pytestmark = [pytest.mark.real_data, pytest.mark.timeout(300)]

VIDEO = "document.querySelector('video')"


@pytest.mark.slow
def test_chromium_plays_what_was_written(
    chromium, face_video, yunet_model, fitted_pipeline, tmp_path
):
    from selenium.webdriver.support.wait import WebDriverWait

    output = tmp_path / "drawn.mp4"
    recognize_video(face_video, fitted_pipeline, detector=YuNetDetector(yunet_model), output=output)
    chromium.get(output.as_uri())

    def of_video(what):
        return chromium.execute_script(f"return {VIDEO}.{what}")

    def until(what):
        WebDriverWait(chromium, 60).until(lambda _: of_video(what), f"{what}: {of_video('error')}")

    until("readyState === HTMLMediaElement.HAVE_ENOUGH_DATA")
    assert (of_video("videoWidth"), of_video("videoHeight")) == (596, 336)
    assert of_video("duration") == pytest.approx(4.6, abs=0.1)
    chromium.execute_script(f"{VIDEO}.currentTime = 0; {VIDEO}.muted = true; {VIDEO}.play()")
    until("currentTime > 1")
    # Frames came out of the decoder; the clock of a file without any would run too.
    assert of_video("getVideoPlaybackQuality().totalVideoFrames") > 5
    # The index stands in front, so that it can be sought in.
    chromium.execute_script(f"{VIDEO}.currentTime = 4")
    until("ended")
    assert of_video("error") is None
