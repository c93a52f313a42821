// Drawing: boxes over the picture, the panel and the history.

import { Chart } from "./chart.js";
import { summaryOf } from "./panel.js";
import { byId, overlay, panel, state, video } from "./stage.js";

const CAMERA_WINDOW = 60; // seconds of history shown

export const chart = new Chart(byId("chart"));

function facesNow() {
  if (!state.session) return [];
  return state.mode === "video" ? state.session.facesAt(video.currentTime) : state.session.faces;
}

export function show({ atOnce = false } = {}) {
  state.stale = true;
  panel.show(facesNow(), { atOnce });
  drawHistory();
}

export function drawHistory() {
  if (!state.session || byId("history").hidden) return;
  const { records, series } = state.session;
  if (!records.length) return;
  const last = records.at(-1).time;
  const whole = state.mode === "video" ? Math.max(last, video.duration || 0) : last;
  const span = state.mode === "video" ? [0, whole] : [Math.max(0, last - CAMERA_WINDOW), Math.max(last, 10)];
  const id = panel.chosen(facesNow())?.id ?? longest(series);
  const points = series.get(id) ?? [];
  chart.draw(points, state.session.classes, span, state.mode === "video" ? video.currentTime : null);
  byId("history-span").textContent = series.size > 1 ? `Face ${id}` : "";
  byId("summary").textContent = summaryOf(points);
}

function longest(series) {
  return [...series].reduce((best, one) => (one[1].length > (best?.[1].length ?? 0) ? one : best), null)?.[0];
}

let playedTo = -1;

export function paint(now) {
  requestAnimationFrame(paint);
  if (state.mode === "idle" || !state.session) return;
  if (state.mode === "video" && video.currentTime !== playedTo) {
    playedTo = video.currentTime;
    show();
  }
  if (state.mode === "photo" && !state.stale) return;
  state.stale = false;
  const faces = facesNow();
  overlay.draw(faces, state.session.size, {
    classes: state.session.classes,
    chosen: panel.chosen(faces)?.id,
    mirrored: state.mode === "camera" && byId("mirror").checked,
    glide: state.mode === "camera",
    now,
  });
}
