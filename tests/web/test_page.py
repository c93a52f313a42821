import base64
import csv
import time
from importlib.resources import files

import cv2
import numpy as np
import pytest
from _web import BrightnessReader, served

from skfer.detection import Detections, YuNetDetector
from skfer.recognition import FaceReading
from skfer.video import recognize_video
from skfer.web import Readers

pytestmark = [pytest.mark.real_data, pytest.mark.timeout(300)]


class OppositeReader(BrightnessReader):
    classes = ["sad", "happy"]


class SlowReader(BrightnessReader):
    def read(self, images):
        time.sleep(1)
        return super().read(images)


class WholeReader(BrightnessReader):
    def read(self, images, on_missing="blank"):
        if on_missing == "blank":
            return super().read(images)
        box = Detections([[0, 0, 60, 40]], [0])
        return [FaceReading(box, np.array([[0.75, 0.25]]), whole_image=True)]


class UnsureReader(BrightnessReader):
    classes = ["glad", "grim"]

    def expressions(self, probabilities):
        return ["unsure"] * len(probabilities)


READERS = {
    "first": BrightnessReader(),
    "opposite": OppositeReader(),
    "unsure": UnsureReader(),
    "slow": SlowReader(),
    "whole": WholeReader(),
}


@pytest.fixture(scope="module")
def url():
    texts = dict.fromkeys(READERS, "") | {"first": "The first model."}
    detectors = {"haar": "Upright faces.", "auto": "Haar."}
    readers = Readers(lambda model, detector: READERS[model], texts, detectors)
    with served(readers) as url:
        yield url


@pytest.fixture
def page(chromium, url):
    page = Page(chromium)
    page.size(1280, 1000)
    chromium.get(url)
    page.wait_until(lambda: page.text("model").split() == list(READERS), "the choice of models")
    yield page
    errors = [line["message"] for line in chromium.get_log("browser")]
    # Chromium also logs the expected 4xx responses.
    assert not [line for line in errors if "Failed to load resource" not in line]


class Page:
    def __init__(self, driver):
        self.driver = driver

    def element(self, name):
        return self.driver.find_element("id", name)

    def text(self, name):
        return self.element(name).text

    def click(self, name):
        self.element(name).click()

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def send_files(self, *paths):
        self.element("files").send_keys("\n".join(map(str, paths)))

    def emulate(self, command, **arguments):
        self.driver.execute_cdp_cmd(f"Emulation.{command}", arguments)

    def size(self, width, height, scale=1, mobile=False):
        size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": mobile}
        self.emulate("setDeviceMetricsOverride", **size)

    def wait_until(self, condition, name, seconds=60):
        end = time.monotonic() + seconds
        while not (value := condition()):
            if time.monotonic() > end:
                text = f"{self.text('status')} {self.text('problem')}"
                pytest.fail(f"{name}: not within {seconds} seconds; the page shows {text!r}")
            time.sleep(0.05)
        return value

    def expression(self):
        return self.element("label").get_dom_attribute("data-expression")

    def choose_model(self, name):
        self.driver.find_element("xpath", f"//option[text()='{name}']").click()

    def start_camera(self):
        self.click("camera")
        self.click("agreed")
        self.click("consent-start")
        self.wait_until(self.expression, "a face in front of the camera")

    def stop_camera(self):
        self.click("camera")
        self.wait_until(lambda: self.text("status") == "Camera is off.", "the camera off")

    def send_photo(self, path):
        self.send_files(path)
        self.wait_until(lambda: self.text("status") == "1 face.", "the result")

    def wait_for_box(self):
        """Wait until more than 500 pixels of the overlay are drawn."""
        script = """const { width, height } = document.getElementById("overlay");
            const copy = new OffscreenCanvas(width, height).getContext("2d");
            copy.drawImage(document.getElementById("overlay"), 0, 0);
            const { data } = copy.getImageData(0, 0, width, height);
            return data.filter((value, index) => index % 4 === 3 && value > 0).length;"""
        self.wait_until(lambda: self.run(script) > 500, "a box over the picture")

    def elements(self, selector):
        return self.driver.find_elements("css selector", selector)

    def pressed(self, selector):
        return [one.get_dom_attribute("aria-pressed") for one in self.elements(selector)]

    def click_at(self, name, across, down):
        """Click at shares of the width and height of an element."""
        self.run(
            """const element = document.getElementById(arguments[0]);
            const { left, top, width, height } = element.getBoundingClientRect();
            const [clientX, clientY] = [left + arguments[1] * width, top + arguments[2] * height];
            const at = { clientX, clientY, bubbles: true, cancelable: true };
            element.dispatchEvent(new MouseEvent("click", at));""",
            *(name, across, down),
        )

    def download(self, button, folder, suffix):
        before = set(folder.iterdir())
        button.click()

        def complete():
            return [file for file in set(folder.iterdir()) - before if file.suffix == suffix]

        [path] = self.wait_until(complete, "the download")
        return path

    def download_csv(self, folder):
        path = self.download(self.element("download"), folder, ".csv")
        with path.open(newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture
def photo(tmp_path, astronaut):
    path = tmp_path / "astronaut.jpg"
    cv2.imwrite(str(path), cv2.cvtColor(astronaut, cv2.COLOR_RGB2BGR))
    return path


@pytest.mark.slow
def test_consent(page):
    page.click("camera")
    assert page.run("return document.getElementById('consent').open")
    assert "this computer" in page.text("consent")
    assert "not of what a person feels" in page.text("consent")
    assert not page.element("consent-start").is_enabled()
    page.click("agreed")
    assert page.element("consent-start").is_enabled()
    page.click("consent-cancel")
    assert not page.run("return document.getElementById('consent').open")
    assert page.run("return document.getElementById('video').srcObject === null")


@pytest.mark.slow
def test_camera(page, downloads):
    READERS["first"].max_concurrent = 0
    page.start_camera()
    first = page.expression()
    page.wait_until(lambda: page.expression() not in (first, "", None), "another expression")
    page.wait_for_box()
    page.wait_until(lambda: "1 face" in page.text("status"), "one face in the status")
    page.wait_until(lambda: page.text("summary"), "a history")
    # Frames are sent one at a time.
    assert READERS["first"].max_concurrent == 1

    page.stop_camera()
    assert page.run("return document.getElementById('video').srcObject === null")
    page.size(1200, 900)  # draws again
    page.size(1280, 1000)
    assert page.text("label") == "The camera is off"
    assert not page.expression()
    assert not page.element("faces").is_displayed()
    rows = page.download_csv(downloads)
    assert {row["expression"] for row in rows if row["face"]} == {"happy", "sad"}
    assert {row["source"] for row in rows} == {"camera"}
    times = [float(row["time"]) for row in rows]
    assert times == sorted(times)
    for row in rows:
        if row["face"]:
            assert float(row["happy"]) + float(row["sad"]) == pytest.approx(1, abs=1e-3)
            assert float(row[row["expression"]]) == float(row["probability"])


@pytest.mark.slow
def test_other_model_for_the_camera(page, downloads):
    page.start_camera()
    page.wait_until(lambda: page.text("summary"), "a history")
    page.choose_model("unsure")
    page.wait_until(lambda: page.expression() == "unsure", "the result of the other model")
    assert page.text("label") == "unsure"
    assert page.text("bars").split()[::3] == ["glad", "grim"]
    page.wait_for_box()
    page.stop_camera()
    rows = [row for row in page.download_csv(downloads) if row["face"]]
    assert [row["model"] for row in rows] == sorted(row["model"] for row in rows)
    for row in rows:
        first = row["model"] == "first"
        assert (row["happy"] != "", row["glad"] != "") == (first, not first)
        assert (row["expression"] == "unsure") != first


def test_photo_with_two_models(page, photo, downloads):
    page.send_photo(photo)
    assert page.expression() == "happy"
    assert page.element("photo").get_dom_attribute("alt") == "astronaut.jpg: 1 face"
    page.wait_for_box()
    page.wait_until(
        lambda: page.run("return document.getElementById('announcer').textContent"), "words"
    )
    [row] = page.download_csv(downloads)
    shown = [row[name] for name in ("source", "time", "face", "expression")]
    assert shown == ["astronaut.jpg", "", "1", "happy"]
    page.choose_model("opposite")
    page.wait_until(lambda: page.expression() == "sad", "the result of the other model")


def test_dropped_photos(page, photo, astronaut):
    photo_of_two = cv2.imencode(".png", cv2.hconcat([astronaut[..., ::-1]] * 2))[1]
    files = [
        ["one.jpg", "image/jpeg", base64.b64encode(photo.read_bytes()).decode()],
        ["two.png", "image/png", base64.b64encode(photo_of_two.tobytes()).decode()],
        ["notes.jpg", "image/jpeg", base64.b64encode(b"no photo").decode()],
    ]
    page.run(
        """const dataTransfer = new DataTransfer();
        for (const [name, type, content] of arguments[0]) {
          const bytes = Uint8Array.from(atob(content), (one) => one.charCodeAt(0));
          dataTransfer.items.add(new File([bytes], name, { type }));
        }
        document.body.dispatchEvent(new DragEvent("dragenter", { dataTransfer, bubbles: true }));
        document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true }));""",
        files,
    )
    page.wait_until(lambda: page.text("status") == "3 faces in 2 photos.", "all results")
    assert page.text("problem-text").startswith("notes.jpg: The file is not a JPEG")
    buttons = page.elements("#faces button")
    assert [one.text.split(" ", 1)[0] for one in buttons] == ["1", "2"]
    buttons[1].click()
    assert page.pressed("#faces button") == ["false", "true"]
    # A click on a face selects it too. Faces are numbered by size, not by position.
    selected = []
    for share in (0.22, 0.72):
        page.click_at("stage", share, 0.2)
        assert page.pressed("#faces button").count("true") == 1
        selected.append(page.pressed("#faces button").index("true"))
    assert sorted(selected) == [0, 1]
    assert page.pressed("#rows .open") == ["false", "true"]
    rows = [row.text.split() for row in page.elements("#rows tr")]
    assert rows[0][:2] == ["one.jpg", "1"]
    assert rows[1][:2] == ["two.png", "2"]
    assert rows[2] == ["notes.jpg", "\N{EN DASH}", "not", "read"]
    page.elements("#rows .open")[0].click()
    page.wait_until(lambda: page.text("count") == "", "the photo with one face")


@pytest.mark.slow
def test_video(page, face_video, downloads):
    page.send_files(face_video)
    page.wait_until(lambda: "frames read" in page.text("status"), "the result", seconds=150)
    seconds = "return document.getElementById('video').currentTime"
    page.wait_until(lambda: page.run(seconds) > 0.5, "the video playing")
    page.wait_for_box()
    page.run("document.getElementById('video').pause()")
    for second, expression in ((0.8, "sad"), (2.9, "happy")):
        page.run("document.getElementById('video').currentTime = arguments[0]", second)
        page.wait_until(lambda expected=expression: page.expression() == expected, expression)
    rows = page.download_csv(downloads)
    assert {row["source"] for row in rows} == {"face_video.mp4"}
    assert len({row["time"] for row in rows}) == 46
    page.run(
        """const chart = document.getElementById("chart");
        const { left, top, width } = chart.getBoundingClientRect();
        const position = { clientX: left + width / 2, clientY: top + 50, bubbles: true };
        chart.dispatchEvent(new MouseEvent("click", position));"""
    )
    assert page.run(seconds) == pytest.approx(2.1, abs=0.4)
    # Probabilities under the pointer.
    page.run(
        """const chart = document.getElementById("chart");
        const { left, top, width } = chart.getBoundingClientRect();
        const position = { clientX: left + width * 0.95, clientY: top + 50, bubbles: true };
        chart.dispatchEvent(new PointerEvent("pointermove", position));"""
    )
    assert float(page.text("history-span").split()[0]) == pytest.approx(4.3, abs=0.4)
    assert page.text("legend").startswith("happy ")
    assert "%" in page.text("legend")


@pytest.mark.slow
def test_cancelled_video(page, face_video, downloads):
    page.choose_model("slow")
    page.send_files(face_video)
    assert page.text("label") != "No face"
    page.wait_until(lambda: page.element("cancel").is_displayed(), "the button")
    page.wait_until(lambda: page.text("legend"), "the first frames", seconds=150)
    page.click("cancel")
    page.wait_until(lambda: page.text("status").startswith("Cancelled: "), "the end")
    assert not page.element("cancel").is_displayed()
    assert not page.element("progress").is_displayed()
    assert not page.element("problem").is_displayed()
    n_frames = int(page.text("status").split()[1])
    assert 0 < n_frames < 46
    assert len({row["time"] for row in page.download_csv(downloads)}) == n_frames


def test_annotated_copy(page, photo, downloads):
    page.send_photo(photo)
    path = page.download(page.element("rows").find_element("class name", "copy"), downloads, ".jpg")
    assert path.name == "astronaut-faces.jpg"
    before, after = (cv2.imread(str(one)).astype(int) for one in (photo, path))
    assert before.shape == after.shape
    changed = np.abs(before - after).max(axis=2) > 60
    assert changed[50:175, 160:290].sum() > 200  # the box of the face
    assert not changed[300:].any()


def test_photo_without_a_face(page, tmp_path, downloads):
    path = tmp_path / "sky.png"
    cv2.imwrite(str(path), np.full((40, 60, 3), 90, np.uint8))
    page.choose_model("whole")
    page.send_files(path)
    page.wait_until(lambda: page.text("status") == "no face.", "the result")
    assert page.text("label") == "No face in this photo"
    assert "Photos without a face" in page.text("hint")
    page.driver.find_element("css selector", "#missing option[value=image]").click()
    page.wait_until(lambda: page.text("label") == "Whole photo: happy 75 %", "the result")
    assert not page.element("hint").is_displayed()
    [row] = page.download_csv(downloads)
    assert (row["face"], row["confidence"], row["expression"]) == ("", "", "happy")
    page.driver.find_element("css selector", "#missing option[value=blank]").click()
    page.wait_until(lambda: page.text("label") == "No face in this photo", "the result")


def test_descriptions(page):
    assert page.text("model-text") == "The first model."
    assert page.text("detector-text") == "Upright faces."
    page.driver.find_element("xpath", "//option[text()='auto']").click()
    assert page.text("detector-text") == "Haar."


@pytest.mark.parametrize("width", [1280, 375])
def test_long_names_and_errors(page, photo, tmp_path, width):
    page.size(width, 800, mobile=width < 500)
    photos = [tmp_path / f"{'a_very_long_name_' * 8}{n}.jpg" for n in range(2)]
    photos[0].write_bytes(photo.read_bytes())
    photos[1].write_text("no photo")
    page.send_files(*photos)
    page.wait_until(lambda: page.text("status") == "1 face.", "the result")
    assert "not a JPEG" in page.text("problem")
    assert page.run("return document.documentElement.scrollWidth") <= width
    assert page.run(
        """return [...document.querySelectorAll("main *")].every((element) =>
        element.getBoundingClientRect().right <= arguments[0])""",
        width,
    )


@pytest.mark.parametrize(("frames", "connected"), [([1, 2], True), ([1, 9], False)])
def test_gaps_in_the_history(page, frames, connected):
    colored = """const [frames, done] = arguments;
        const canvas = document.createElement("canvas");
        Object.assign(canvas.style, { display: "block", width: "600px", height: "200px" });
        document.body.append(canvas);
        import("/static/chart.js").then(({ Chart }) => {
          const points = frames.map((frame, index) => {
            return { time: 1 + 8 * index, frame, probabilities: { angry: 0.75 } };
          });
          new Chart(canvas).draw(points, ["angry"], [0, 10]);
          const { width, height } = canvas;
          const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
          const red = (x) => {
            return data.some((value, i) => {
              return i % 4 === 0 && (i / 4) % width === x && value > data[i + 1] + 80;
            });
          };
          const at = (second) => Math.round((50 + 53.4 * second) * canvas.width / 600);
          canvas.remove();
          done([red(at(1)), red(at(5)), red(at(9))]);
        });"""
    found = page.driver.execute_async_script(colored, frames)
    assert found == [True, connected, True]


def axe_violations(page):
    """Return the violations of WCAG 2.1 AA that axe-core finds."""
    pytest.importorskip("axe_core_python", reason="no axe-core: pip install axe-core-python")
    page.run((files("axe_core_python") / "axe.min.js").read_text() + "; window.axe = axe")
    found = page.driver.execute_async_script(
        """const done = arguments[0];
        const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"];
        axe.run({ runOnly: tags }).then((result) => done(result.violations));"""
    )
    return [(rule["id"], node["html"]) for rule in found for node in rule["nodes"]]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility(page, photo, face_video, tmp_path, scheme):
    notes = tmp_path / "notes.jpg"
    notes.write_text("no photo")
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.emulate("setEmulatedMedia", features=features)
    assert axe_violations(page) == []
    page.send_files(photo, notes)
    page.wait_until(lambda: page.text("status") == "1 face.", "the result")
    assert axe_violations(page) == []
    page.send_files(face_video)
    page.wait_until(lambda: "frames read" in page.text("status"), "the result", seconds=150)
    assert axe_violations(page) == []
    page.click("camera")
    assert axe_violations(page) == []
    page.click("consent-cancel")
    # The check detects low contrast.
    color = {"light": "#888", "dark": "#555"}[scheme]
    page.run("document.getElementById('status').style.color = arguments[0]", color)
    assert [rule for rule, _ in axe_violations(page)] == ["color-contrast"]
    page.emulate("setEmulatedMedia", features=[])


def test_other_files(page, tmp_path):
    notes = tmp_path / "notes.txt"
    notes.write_text("no photo")
    page.send_files(notes)
    page.wait_until(
        lambda: "notes.txt: The file is not a JPEG" in page.text("problem"), "the reason"
    )
    assert page.text("status") == "Ready."
    page.click("problem-close")
    assert not page.element("problem").is_displayed()


@pytest.mark.slow
def test_phone(page):
    page.size(390, 844, scale=2, mobile=True)
    page.start_camera()
    for scheme in ("dark", "light"):
        page.emulate(
            "setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
        )
        page.wait_for_box()
        assert page.run("return document.documentElement.scrollWidth") == 390
    page.emulate("setEmulatedMedia", features=[])
    page.stop_camera()


def test_keyboard(page):
    from selenium.webdriver import ActionChains, Keys

    order = []
    for _ in range(10):
        ActionChains(page.driver).send_keys(Keys.TAB).perform()
        focused = page.driver.switch_to.active_element
        order.append(focused.get_dom_attribute("id") or focused.text)
    # The download button is disabled.
    names = ["Skip to the picture", "camera", "choose", "model", "detector", "missing", "mirror"]
    assert order[:7] == names
    page.run("document.getElementById('camera').focus()")
    ActionChains(page.driver).send_keys(Keys.ENTER).perform()
    assert page.run("return document.getElementById('consent').open")
    ActionChains(page.driver).send_keys(Keys.ESCAPE).perform()
    page.wait_until(
        lambda: not page.run("return document.getElementById('consent').open"), "closing"
    )
    assert page.driver.switch_to.active_element.get_dom_attribute("id") == "camera"


def test_accessible_names(page, photo):
    page.send_photo(photo)
    nodes = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    names = {}
    for node in nodes:
        if not node["ignored"]:
            role = node["role"]["value"]
            names.setdefault(role, []).append(node.get("name", {}).get("value", ""))
    for role in ("button", "combobox", "checkbox", "image", "region", "list", "group"):
        assert all(names.get(role, [])), (role, names.get(role))
    assert "Start camera" in names["button"]
    assert {"Model", "Face detector", "Photos without a face"} <= set(names["combobox"])
    assert "astronaut.jpg: 1 face" in names["image"]
    assert any("Limitations" in heading for heading in names["heading"])


@pytest.mark.slow
def test_annotated_video(chromium, face_video, yunet_model, fitted_pipeline, tmp_path):
    from selenium.webdriver.support.wait import WebDriverWait

    output = tmp_path / "annotated.mp4"
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
    # The time would also advance without decoded frames.
    assert video("getVideoPlaybackQuality().totalVideoFrames") > 5
    video("currentTime = 4")  # the index at the start of the file allows seeking
    until("ended")
    assert video("error") is None
