// Recognition of photos and videos from files.

import { readPhoto, readVideo } from "./api.js";
import { isVideo, readyPhoto } from "./files.js";
import {
  begin, byId, choice, counted, overlay, panel, pause, photo, problem, sessionFor, setProgress, shapeStage, state,
  status, urlOf, video,
} from "./stage.js";
import { drawHistory, show } from "./view.js";

const VIDEO_RATE = 10; // frames a second

let limits = {};
let files = [];

export function setLimits(given) {
  limits = given;
}

export async function readFiles(chosen = files) {
  if (!chosen.length) return;
  files = [...chosen];
  const film = files.find(isVideo);
  if (film) await readFilm(film);
  else await readPhotos(files);
  if (film && files.length > 1) problem(`Only ${film.name} was processed: one video at a time.`);
}

async function readPhotos(photos) {
  const signal = begin("photo");
  const chosen = choice();
  const failed = [];
  for (const [index, file] of photos.entries()) {
    status(photos.length > 1 ? `Reading ${index + 1} of ${photos.length} …` : `Reading ${file.name} …`);
    setProgress(photos.length > 1 ? index / photos.length : null);
    try {
      const answer = await withRetries(async () => {
        return readPhoto(await readyPhoto(file, limits.photo_bytes), chosen, signal);
      }, signal);
      if (signal.aborted) return;
      const size = { width: answer.width, height: answer.height };
      const record = sessionFor(answer.classes, size).addPhoto(file.name, answer.faces, chosen.model, size);
      record.url = urlOf(file);
      addToStrip(record);
      showPhoto(record);
    } catch (error) {
      if (signal.aborted) return;
      failed.push(`${file.name}: ${error.message}`);
    }
  }
  byId("progress").hidden = true;
  const total = state.session?.records.reduce((sum, record) => sum + record.faces.length, 0) ?? 0;
  const read = state.session?.records.length ?? 0;
  if (!read) begin("idle");
  status(read > 1 ? `${counted(total)} in ${read} photos.` : read ? `${counted(total)}.` : "Ready.");
  problem(failed.join(" "));
}

function showPhoto(record) {
  photo.src = record.url;
  photo.alt = `${record.source}: ${counted(record.faces.length)}`;
  state.session.size = record.size;
  state.session.faces = record.faces;
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
  const chosen = choice();
  const most = limits.video_bytes;
  if (file.size > most) {
    begin("idle");
    problem(`${file.name} has ${Math.round(file.size / 1e6)} MB; the limit is ${most / 1e6} MB.`);
    return;
  }
  video.src = urlOf(file);
  status(`Reading ${file.name} …`);
  setProgress(null);
  let head = null;
  let end = null;
  try {
    await withRetries(() => readVideo(file, { ...chosen, rate: VIDEO_RATE }, (line) => {
      if (signal.aborted) return;
      if (line.type === "video") {
        head = line;
        sessionFor(line.classes, { width: line.width, height: line.height });
        shapeStage(line.width, line.height);
        byId("history").hidden = false;
      } else if (line.type === "frame") {
        state.session.addFrame(file.name, line.time, line.faces, chosen.model);
        if (head.duration) setProgress(line.time / head.duration);
        if (state.session.records.length % 10 === 1) drawHistory();
      } else {
        end = line;
      }
    }, signal), signal);
  } catch (error) {
    if (signal.aborted) return;
    if (!head) begin("idle");
    status(head ? "The video was read only in part." : "Ready.");
    problem(`${file.name}: ${error.message}`);
    return;
  }
  byId("progress").hidden = true;
  const { records } = state.session;
  const seen = records.filter((record) => record.faces.length).length;
  status(`${records.length} frames read, ${seen} with a face.`);
  problem(end ? (end.message ?? "") : "The response is incomplete.");
  video.controls = true;
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) video.play().catch(() => {});
  show({ atOnce: true });
}

// Retry a few times while the server is busy.
async function withRetries(ask, signal) {
  for (let turn = 0; ; turn += 1) {
    try {
      return await ask();
    } catch (error) {
      if (error.status !== 429 || turn === 5 || signal.aborted) throw error;
      await pause(1000 * error.retryAfter);
    }
  }
}
