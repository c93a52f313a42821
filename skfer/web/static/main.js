// Event handlers of the page.

import { readOptions } from "./api.js";
import { asCsv, save } from "./csv.js";
import { askConsent, leave, watch } from "./live.js";
import { byId, cancel, mirror, overlay, panel, problem, shapeStage, state, status, video } from "./stage.js";
import { readFiles, setLimits } from "./uploads.js";
import { chart, paint, pointAt, show } from "./view.js";

byId("camera").addEventListener("click", () => {
  if (state.mode === "camera") leave("Camera is off.");
  else askConsent();
});
byId("agreed").addEventListener("change", (event) => {
  byId("consent-start").disabled = !event.target.checked;
});
byId("consent-start").addEventListener("click", () => {
  byId("consent").close();
  watch();
});
byId("consent-cancel").addEventListener("click", () => byId("consent").close());
byId("choose").addEventListener("click", () => byId("files").click());
byId("files").addEventListener("change", (event) => {
  readFiles(event.target.files);
  event.target.value = ""; // the same file can be chosen again
});
byId("download").addEventListener("click", () => {
  const stamp = new Date().toISOString().slice(0, 19).replaceAll(":", "").replace("T", "-");
  const text = asCsv(state.session.records, state.session.allClasses);
  save(new Blob([text], { type: "text/csv" }), `skfer-${stamp}.csv`);
});
byId("problem-close").addEventListener("click", () => problem(""));
byId("mirror").addEventListener("change", mirror);
byId("device").addEventListener("change", () => {
  if (state.mode === "camera") watch();
});
for (const id of ["model", "detector", "missing"]) {
  byId(id).addEventListener("change", () => {
    describe();
    if (state.mode === "photo" || (state.mode === "video" && id !== "missing")) readFiles();
  });
}
byId("cancel").addEventListener("click", cancel);
byId("chart").addEventListener("click", (event) => {
  const second = chart.secondAt(event.offsetX);
  if (state.mode === "video" && second !== null) video.currentTime = second;
});
byId("chart").addEventListener("pointermove", (event) => pointAt(chart.secondAt(event.offsetX)));
byId("chart").addEventListener("pointerleave", () => pointAt(null));
video.addEventListener("loadedmetadata", () => {
  if (state.mode === "camera") shapeStage(video.videoWidth, video.videoHeight);
});
video.addEventListener("error", () => {
  if (state.mode === "video") problem("This browser can't play the video. The results are shown below.");
});

const stage = byId("stage");
// Before the controls of a video, which would start or stop it.
stage.addEventListener("click", (event) => {
  const face = faceUnder(event);
  if (!face) return;
  event.preventDefault();
  event.stopPropagation();
  panel.choose(face.id);
}, true);
stage.addEventListener("pointermove", (event) => stage.classList.toggle("pointing", faceUnder(event) !== null));

function faceUnder({ clientX, clientY }) {
  const { left, top } = stage.getBoundingClientRect();
  return overlay.faceAt(clientX - left, clientY - top);
}

let entered = 0; // every element under the pointer sends drag events
addEventListener("dragenter", (event) => {
  entered += 1;
  stage.classList.toggle("dropping", event.dataTransfer.types.includes("Files"));
});
addEventListener("dragleave", () => {
  entered -= 1;
  if (entered === 0) stage.classList.remove("dropping");
});
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  entered = 0;
  stage.classList.remove("dropping");
  readFiles(event.dataTransfer.files);
});
addEventListener("paste", (event) => readFiles(event.clipboardData.files));

panel.onChoose = () => show();
new ResizeObserver(() => show()).observe(stage);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => show());

let descriptions = {};

// Explain the chosen model and detector.
function describe() {
  for (const kind of ["model", "detector"]) {
    const text = descriptions[`${kind}s`]?.[byId(kind).value] ?? "";
    byId(`${kind}-text`).textContent = text;
    byId(`${kind}-text`).hidden = !text;
  }
}

async function start() {
  if (!/^(localhost|127\..*|\[::1\])$/.test(location.hostname)) {
    byId("where").textContent = `All data stays on ${location.hostname}`;
    byId("consent-where").textContent =
      `Its pictures are sent to ${location.hostname}, processed there and not stored.`;
  }
  status("Loading …");
  let options;
  try {
    options = await readOptions();
  } catch (error) {
    problem(error.message);
    return;
  } finally {
    if (state.mode === "idle") status("Ready.");
  }
  setLimits(options.limits);
  byId("model").replaceChildren(...options.models.map((name) => new Option(name)));
  byId("detector").replaceChildren(...options.detectors.map((name) => new Option(name)));
  descriptions = options.descriptions;
  describe();
  const { photo_bytes: photoBytes, video_bytes: videoBytes, video_seconds: seconds } = options.limits;
  byId("accepted").textContent =
    `JPEG, PNG, WebP, BMP up to ${photoBytes / 1e6} MB · MP4, MOV, WebM, AVI up to ${videoBytes / 1e6} MB and ${seconds} s`;
}

requestAnimationFrame(paint);
start();
