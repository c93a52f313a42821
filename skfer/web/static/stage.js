// State of the page: one camera, video or set of photos at a time.

import { Camera } from "./camera.js";
import { Overlay } from "./overlay.js";
import { Panel } from "./panel.js";
import { Session } from "./session.js";

export const byId = (id) => document.getElementById(id);
export const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

const stage = byId("stage");
export const video = byId("video");
export const photo = byId("photo");
export const overlay = new Overlay(byId("overlay"));
export const camera = new Camera(video);
export const panel = new Panel();

export const state = {
  mode: "idle", // or "camera", "photo", "video"
  session: null,
  stale: true, // whether the overlay must be redrawn
};

const CANCELLED = "cancelled";

let job = new AbortController();
let urls = [];

// Reset the page for another source. The signal is aborted when the source changes again.
export function begin(next) {
  job.abort();
  job = new AbortController();
  if (camera.on) camera.stop();
  video.removeAttribute("src");
  video.controls = false;
  photo.removeAttribute("src");
  urls.forEach((url) => URL.revokeObjectURL(url));
  urls = [];
  state.mode = next;
  state.session = null;
  stage.dataset.mode = next;
  mirror();
  stage.style.aspectRatio = "";
  overlay.clear();
  panel.reset([]);
  byId("rows").replaceChildren();
  byId("photos").hidden = true;
  byId("history").hidden = true;
  endProgress();
  byId("download").disabled = true;
  byId("camera").textContent = next === "camera" ? "Stop camera" : "Start camera";
  byId("camera").classList.toggle("main", next !== "camera");
  problem("");
  return job.signal;
}

// Return the session, with the classes of the current model.
export function sessionFor(classes, size) {
  if (!state.session) {
    state.session = new Session(classes, size);
    panel.reset(classes);
  } else if (state.session.classes.join() !== classes.join()) {
    state.session.change(classes);
    panel.reset(classes);
  }
  state.session.size = size;
  byId("download").disabled = false;
  return state.session;
}

export function urlOf(file) {
  const url = URL.createObjectURL(file);
  urls.push(url);
  return url;
}

export function status(text) {
  // A screen reader would announce the same text again.
  if (byId("status").textContent !== text) byId("status").textContent = text;
}

export function problem(text) {
  byId("problem").hidden = !text;
  byId("problem-text").textContent = text;
}

export function shapeStage(width, height) {
  stage.style.aspectRatio = `${width} / ${height}`;
  state.stale = true;
}

export function mirror() {
  stage.classList.toggle("mirrored", state.mode === "camera" && byId("mirror").checked);
}

export function setProgress(share) {
  const bar = byId("progress");
  bar.hidden = false;
  byId("cancel").hidden = false;
  if (share === null) bar.removeAttribute("value");
  else bar.value = share;
}

export function endProgress() {
  byId("progress").hidden = true;
  if (document.activeElement === byId("cancel")) byId("choose").focus();
  byId("cancel").hidden = true;
}

// Stop reading files, and keep what was read.
export function cancel() {
  job.abort(new DOMException(CANCELLED, "AbortError"));
}

export function isCancelled(signal) {
  return signal.aborted && signal.reason.message === CANCELLED;
}

export function choice() {
  return { model: byId("model").value, detector: byId("detector").value };
}

export function counted(faces) {
  return faces === 0 ? "no face" : faces === 1 ? "1 face" : `${faces} faces`;
}
