// Recognition of photos and videos from files.

import { readPhoto, readVideo } from "./api.js";
import { isVideo, readyPhoto } from "./files.js";
import {
  begin, byId, choice, counted, endProgress, isCancelled, overlay, panel, pause, photo, problem, sessionFor,
  setProgress, shapeStage, state, status, urlOf, video,
} from "./stage.js";
import { addFailed, addRow, markRow } from "./photos.js";
import { show } from "./view.js";

const VIDEO_RATE = 10; // frames a second

let limits = {};
let files = [];

export function setLimits(given) {
  limits = given;
}

export async function readFiles(chosen = files) {
  if (!chosen.length) return;
  files = [...chosen];
  const first = files.find(isVideo);
  if (first) await readVideoFile(first);
  else await readPhotos(files);
  if (first && files.length > 1) problem(`Only ${first.name} was processed: one video at a time.`);
}

async function readPhotos(photos) {
  const signal = begin("photo");
  const chosen = { ...choice(), on_missing: byId("missing").value };
  const failed = [];
  show();
  for (const [index, file] of photos.entries()) {
    status(photos.length > 1 ? `Reading ${index + 1} of ${photos.length} …` : `Reading ${file.name} …`);
    setProgress(photos.length > 1 ? index / photos.length : null);
    try {
      const answer = await withRetries(async () => {
        return readPhoto(await readyPhoto(file, limits.photo_bytes), chosen, signal);
      }, signal);
      if (signal.aborted) return;
      const size = { width: answer.width, height: answer.height };
      const session = sessionFor(answer.classes, size);
      const record = session.addPhoto(file.name, answer.faces, chosen.model, size, answer.whole_image === true);
      record.file = file;
      record.url = urlOf(file);
      addRow(record, session.classes, showPhoto);
      showPhoto(record);
    } catch (error) {
      if (isCancelled(signal)) break;
      if (signal.aborted) return;
      failed.push(`${file.name}: ${error.message}`);
      addFailed(file.name);
    }
  }
  endProgress();
  const total = state.session?.records.reduce((sum, record) => sum + record.count, 0) ?? 0;
  const read = state.session?.records.length ?? 0;
  if (!read) begin("idle");
  const done = read > 1 ? `${counted(total)} in ${read} photos.` : read ? `${counted(total)}.` : "Ready.";
  status(isCancelled(signal) ? `Cancelled after ${read} of ${photos.length} photos.` : done);
  problem(failed.join(" "));
}

function showPhoto(record) {
  photo.src = record.url;
  photo.alt = `${record.source}: ${counted(record.count)}`;
  state.session.size = record.size;
  state.session.faces = record.faces;
  panel.wanted = null;
  shapeStage(record.size.width, record.size.height);
  markRow(record);
  overlay.clear();
  show({ atOnce: true });
}

async function readVideoFile(file) {
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
  show();
  let head = null;
  let end = null;
  try {
    await withRetries(() => readVideo(file, { ...chosen, rate: VIDEO_RATE }, (line) => {
      if (signal.aborted) return;
      if (line.type === "video") {
        head = line;
        sessionFor(line.classes, { width: line.width, height: line.height });
        shapeStage(line.width, line.height);
        show();
      } else if (line.type === "frame") {
        state.session.addFrame(file.name, line.time, line.faces, chosen.model);
        if (head.duration) setProgress(line.time / head.duration);
        if (state.session.records.length % 10 === 1) show();
      } else {
        end = line;
      }
    }, signal), signal);
  } catch (error) {
    if (signal.aborted && !isCancelled(signal)) return;
    if (!state.session?.records.length) begin("idle");
    endProgress();
    if (!isCancelled(signal)) problem(`${file.name}: ${error.message}`);
    if (state.mode === "idle") {
      status(isCancelled(signal) ? "Cancelled." : "Ready.");
      return;
    }
  }
  endProgress();
  const { records } = state.session;
  const seen = records.filter((record) => record.faces.length).length;
  const cancelled = isCancelled(signal) ? "Cancelled: " : "";
  status(`${cancelled}${records.length} frames read, ${seen} with a face.`);
  if (end) problem(end.message ?? "");
  else if (!cancelled && byId("problem").hidden) problem("The response is incomplete.");
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
