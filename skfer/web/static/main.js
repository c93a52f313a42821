// The page: what is started, what is shown.

import { readOptions, readPhoto, readVideo } from "./api.js";
import { Camera } from "./camera.js";
import { Chart } from "./chart.js";
import { asCsv, save } from "./csv.js";
import { isVideo, readyPhoto } from "./files.js";
import { Overlay } from "./overlay.js";
import { Panel, summaryOf } from "./panel.js";
import { Session } from "./session.js";

const CAMERA_WINDOW = 60; // seconds of history shown
const SHORTEST_TURN = 40; // milliseconds from one sent frame to the next
const VIDEO_RATE = 10; // frames a second read in a video

const byId = (id) => document.getElementById(id);
const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

const stage = byId("stage");
const video = byId("video");
const photo = byId("photo");
const overlay = new Overlay(byId("overlay"));
const chart = new Chart(byId("chart"));
const camera = new Camera(video);
const panel = new Panel(() => show());

let mode = "idle";
let session = null;
let options = { limits: {} };
let files = [];
let job = new AbortController();
let urls = [];
let shownPhoto = null; // the record of the photo on the stage
let stale = true; // whether the overlay has to be drawn again

// --- what is on the stage ------------------------------------------------------------------

function begin(next) {
  job.abort();
  job = new AbortController();
  if (camera.on) camera.stop();
  video.removeAttribute("src");
  video.controls = false;
  photo.removeAttribute("src");
  urls.forEach((url) => URL.revokeObjectURL(url));
  urls = [];
  mode = next;
  session = null;
  shownPhoto = null;
  stage.dataset.mode = next;
  mirror();
  stage.style.aspectRatio = "";
  overlay.clear();
  panel.reset([]);
  byId("strip").replaceChildren();
  byId("strip").hidden = true;
  byId("history").hidden = true;
  byId("progress").hidden = true;
  byId("download").disabled = true;
  byId("camera").textContent = next === "camera" ? "Stop camera" : "Start camera";
  byId("camera").classList.toggle("main", next !== "camera");
  problem("");
  return job.signal;
}

function mirror() {
  stage.classList.toggle("mirrored", mode === "camera" && byId("mirror").checked);
}

function sessionFor(classes, size) {
  if (!session || session.classes.join() !== classes.join()) {
    session = new Session(classes, size);
    panel.reset(classes);
  }
  session.size = size;
  byId("download").disabled = false;
  return session;
}

function urlOf(file) {
  const url = URL.createObjectURL(file);
  urls.push(url);
  return url;
}

function status(text) {
  byId("status").textContent = text;
}

function problem(text) {
  byId("problem").hidden = !text;
  byId("problem-text").textContent = text;
}

function shapeStage(width, height) {
  stage.style.aspectRatio = `${width} / ${height}`;
  stale = true;
}

// --- camera ----------------------------------------------------------------------------------

async function watch() {
  const signal = begin("camera");
  try {
    await camera.start(byId("device").value, () => leave("The camera was switched off."));
  } catch (error) {
    leave("Ready.");
    problem(error.message);
    return;
  }
  if (signal.aborted) return;
  shapeStage(video.videoWidth, video.videoHeight);
  byId("history").hidden = false;
  status("Camera is on.");
  await listDevices();
  const start = performance.now();
  while (!signal.aborted) {
    const turn = performance.now();
    try {
      // One at a time: the next frame is taken when the answer is there, so none ever waits.
      const frame = await camera.frame();
      const answer = await readPhoto(frame, choice(), signal);
      if (signal.aborted) return;
      const { width, height, classes, faces } = answer;
      sessionFor(classes, { width, height }).addFrame("camera", (turn - start) / 1000, faces);
      problem("");
      status(`Camera is on: ${counted(faces.length)}.`);
      show();
    } catch (error) {
      if (signal.aborted) return;
      if (![0, 429, 503].includes(error.status)) {
        leave("Ready.");
        problem(error.message);
        return;
      }
      if (error.status === 0) problem(error.message);
      await pause(1000 * error.retryAfter);
    }
    await pause(Math.max(0, SHORTEST_TURN - (performance.now() - turn)));
    while (document.hidden && !signal.aborted) await pause(200);
  }
}

// Let go of the camera; what was read stays, to be downloaded.
function leave(text) {
  const before = session;
  begin("idle");
  status(text);
  if (!before?.records.length) return;
  session = before;
  panel.reset(before.classes);
  byId("download").disabled = false;
  byId("history").hidden = false;
  drawHistory();
}

async function listDevices() {
  const devices = await camera.devices();
  const select = byId("device");
  const active = camera.stream?.getVideoTracks()[0]?.getSettings().deviceId;
  select.replaceChildren(...devices.map((device, index) => {
    return new Option(device.label || `Camera ${index + 1}`, device.deviceId, false, device.deviceId === active);
  }));
  select.hidden = devices.length < 2;
  document.querySelector("label[for=device]").hidden = devices.length < 2;
}

function askConsent() {
  byId("agreed").checked = false;
  byId("consent-start").disabled = true;
  byId("consent").showModal();
}

// --- photos and videos -------------------------------------------------------------------------

async function readFiles(chosen) {
  files = [...chosen];
  if (!files.length) return;
  const film = files.find(isVideo);
  if (film) await readFilm(film);
  else await readPhotos(files);
  if (film && files.length > 1) problem(`Only ${film.name} was read: one video at a time.`);
}

async function readPhotos(photos) {
  const signal = begin("photo");
  const failed = [];
  for (const [index, file] of photos.entries()) {
    status(photos.length > 1 ? `Reading ${index + 1} of ${photos.length} …` : `Reading ${file.name} …`);
    setProgress(photos.length > 1 ? index / photos.length : null);
    try {
      const answer = await patiently(async () => {
        return readPhoto(await readyPhoto(file, options.limits.photo_bytes), choice(), signal);
      }, signal);
      if (signal.aborted) return;
      const size = { width: answer.width, height: answer.height };
      const record = sessionFor(answer.classes, size).addPhoto(file.name, answer.faces, size);
      record.url = urlOf(file);
      addToStrip(record);
      showPhoto(record);
    } catch (error) {
      if (signal.aborted) return;
      failed.push(`${file.name}: ${error.message}`);
    }
  }
  byId("progress").hidden = true;
  const total = session?.records.reduce((sum, record) => sum + record.faces.length, 0) ?? 0;
  const read = session?.records.length ?? 0;
  if (!read) begin("idle");
  status(read > 1 ? `${counted(total)} in ${read} photos.` : read ? `${counted(total)}.` : "Ready.");
  problem(failed.join(" "));
}

function showPhoto(record) {
  shownPhoto = record;
  photo.src = record.url;
  photo.alt = `${record.source}: ${counted(record.faces.length)}`;
  session.size = record.size;
  session.faces = record.faces;
  panel.wanted = null;
  shapeStage(record.size.width, record.size.height);
  for (const button of byId("strip").children) {
    button.setAttribute("aria-pressed", String(button.record === record));
  }
  overlay.clear();
  show({ atOnce: true });
}

function addToStrip(record) {
  const button = document.createElement("button");
  button.type = "button";
  button.record = record;
  button.setAttribute("aria-label", `${record.source}, ${counted(record.faces.length)}`);
  const image = document.createElement("img");
  image.src = record.url;
  image.alt = "";
  button.append(image);
  button.addEventListener("click", () => showPhoto(record));
  byId("strip").append(button);
  byId("strip").hidden = byId("strip").children.length < 2;
}

async function readFilm(file) {
  const signal = begin("video");
  const { video_bytes: most } = options.limits;
  if (file.size > most) {
    begin("idle");
    problem(`${file.name} has ${Math.round(file.size / 1e6)} MB; at most ${most / 1e6} MB are taken.`);
    return;
  }
  video.src = urlOf(file);
  status(`Reading ${file.name} …`);
  setProgress(null);
  let head = null;
  let end = null;
  try {
    await patiently(() => readVideo(file, { ...choice(), rate: VIDEO_RATE }, (line) => {
      if (signal.aborted) return;
      if (line.type === "video") {
        head = line;
        sessionFor(line.classes, { width: line.width, height: line.height });
        shapeStage(line.width, line.height);
        byId("history").hidden = false;
      } else if (line.type === "frame") {
        session.addFrame(file.name, line.time, line.faces);
        if (head.duration) setProgress(line.time / head.duration);
        if (session.records.length % 10 === 1) drawHistory();
      } else {
        end = line;
      }
    }, signal), signal);
  } catch (error) {
    if (signal.aborted) return;
    if (!head) begin("idle");
    status(head ? "The video was not read to its end." : "Ready.");
    problem(`${file.name}: ${error.message}`);
    return;
  }
  byId("progress").hidden = true;
  const { records } = session;
  const seen = records.filter((record) => record.faces.length).length;
  status(`${records.length} frames read, ${seen} with a face.`);
  problem(end ? (end.message ?? "") : "The answer broke off.");
  video.controls = true;
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) video.play().catch(() => {});
  show({ atOnce: true });
}

// Once more, a few times, while the server is busy.
async function patiently(ask, signal) {
  for (let turn = 0; ; turn += 1) {
    try {
      return await ask();
    } catch (error) {
      if (error.status !== 429 || turn === 5 || signal.aborted) throw error;
      await pause(1000 * error.retryAfter);
    }
  }
}

function setProgress(share) {
  const bar = byId("progress");
  bar.hidden = false;
  if (share === null) bar.removeAttribute("value");
  else bar.value = share;
}

// --- showing -------------------------------------------------------------------------------------

function facesNow() {
  if (!session) return [];
  return mode === "video" ? session.facesAt(video.currentTime) : session.faces;
}

function show({ atOnce = false } = {}) {
  stale = true;
  panel.show(facesNow(), { atOnce });
  drawHistory();
}

function drawHistory() {
  if (!session || byId("history").hidden) return;
  const { records, series } = session;
  if (!records.length) return;
  const last = records.at(-1).time;
  const whole = mode === "video" ? Math.max(last, video.duration || 0) : last;
  const span = mode === "video" ? [0, whole] : [Math.max(0, last - CAMERA_WINDOW), Math.max(last, 10)];
  const id = panel.chosen(facesNow())?.id ?? longest(series);
  const points = series.get(id) ?? [];
  chart.draw(points, session.classes, span, mode === "video" ? video.currentTime : null);
  byId("history-span").textContent = series.size > 1 ? `Face ${id}` : "";
  byId("summary").textContent = summaryOf(points);
}

function longest(series) {
  return [...series].reduce((best, one) => (one[1].length > (best?.[1].length ?? 0) ? one : best), null)?.[0];
}

let playedTo = -1;

function paint(now) {
  requestAnimationFrame(paint);
  if (mode === "idle" || !session) return;
  if (mode === "video" && video.currentTime !== playedTo) {
    playedTo = video.currentTime;
    show();
  }
  if (mode === "photo" && !stale) return;
  stale = false;
  const faces = facesNow();
  overlay.draw(faces, session.size, {
    classes: session.classes,
    chosen: panel.chosen(faces)?.id,
    mirrored: mode === "camera" && byId("mirror").checked,
    glide: mode === "camera",
    now,
  });
}

function counted(faces) {
  return faces === 0 ? "no face" : faces === 1 ? "1 face" : `${faces} faces`;
}

function choice() {
  return { model: byId("model").value, detector: byId("detector").value };
}

// --- what the visitor does ---------------------------------------------------------------------

byId("camera").addEventListener("click", () => {
  if (mode === "camera") leave("Camera is off.");
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
  save(asCsv(session.records, session.classes), `skfer-${stamp}.csv`);
});
byId("problem-close").addEventListener("click", () => problem(""));
byId("mirror").addEventListener("change", mirror);
byId("device").addEventListener("change", () => {
  if (mode === "camera") watch();
});
for (const id of ["model", "detector"]) {
  byId(id).addEventListener("change", () => {
    if (mode === "photo" || mode === "video") readFiles(files);
  });
}
byId("chart").addEventListener("click", (event) => {
  const second = chart.secondAt(event.offsetX);
  if (mode === "video" && second !== null) video.currentTime = second;
});
video.addEventListener("loadedmetadata", () => {
  if (mode === "camera") shapeStage(video.videoWidth, video.videoHeight);
});
video.addEventListener("error", () => {
  if (mode === "video") problem("This browser can't play the video; what skfer reads in it is shown below.");
});

let entered = 0; // drag events come from every element that is crossed
addEventListener("dragenter", () => stage.classList.toggle("dropping", ++entered > 0));
addEventListener("dragleave", () => stage.classList.toggle("dropping", --entered > 0));
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  entered = 0;
  stage.classList.remove("dropping");
  readFiles(event.dataTransfer.files);
});
addEventListener("paste", (event) => readFiles(event.clipboardData.files));

new ResizeObserver(() => show()).observe(stage);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  panel.recolor();
  show();
});

async function start() {
  if (!/^(localhost|127\..*|\[::1\])$/.test(location.hostname)) {
    byId("where").textContent = `Everything stays on ${location.hostname}`;
    byId("consent-where").textContent =
      `Its pictures are sent to ${location.hostname}, which runs skfer, and read there. None goes further, and none is kept.`;
  }
  try {
    options = await readOptions();
  } catch (error) {
    problem(error.message);
    return;
  }
  byId("model").replaceChildren(...options.models.map((name) => new Option(name)));
  byId("detector").replaceChildren(...options.detectors.map((name) => new Option(name)));
  const { photo_bytes: photoBytes, video_bytes: videoBytes, video_seconds: seconds } = options.limits;
  byId("accepted").textContent =
    `JPEG, PNG, WebP, BMP up to ${photoBytes / 1e6} MB · MP4, MOV, WebM, AVI up to ${videoBytes / 1e6} MB and ${seconds} s`;
}

requestAnimationFrame(paint);
start();
