// Drawing: boxes over the picture, the panel and the history.

import { Chart } from "./chart.js";
import { colorOf } from "./expressions.js";
import { NO_FACE_IN_PHOTO, summaryOf } from "./panel.js";
import { byId, overlay, panel, state, video } from "./stage.js";

const CAMERA_WINDOW = 60; // seconds of history shown

export const chart = new Chart(byId("chart"));

function facesNow() {
  if (!state.session || state.mode === "idle") return [];
  return state.mode === "video" ? state.session.facesAt(video.currentTime) : state.session.faces;
}

function emptyText() {
  if (state.mode === "idle") return state.session ? "The camera is off" : "No picture yet";
  if (!state.session?.records.length) return "Reading …";
  return state.mode === "photo" ? NO_FACE_IN_PHOTO : "No face";
}

export function show({ atOnce = false } = {}) {
  state.stale = true;
  panel.show(facesNow(), { atOnce, empty: emptyText() });
  drawHistory();
}

let pointed = null; // second under the pointer

export function pointAt(second) {
  pointed = second;
  drawHistory();
}

export function drawHistory() {
  const { records, series } = state.session ?? { records: [], series: new Map() };
  byId("history").hidden = !series.size;
  if (!series.size) return;
  const last = records.at(-1).time;
  const whole = state.mode === "video" ? Math.max(last, video.duration || 0) : last;
  const span = state.mode === "video" ? [0, whole] : [Math.max(0, last - CAMERA_WINDOW), Math.max(last, 10)];
  const id = panel.chosen(facesNow())?.id ?? longest(series);
  const points = series.get(id) ?? [];
  const playing = state.mode === "video" ? video.currentTime : null;
  chart.draw(points, state.session.classes, span, playing, pointed);
  const point = nearest(points, pointed ?? playing ?? last);
  drawLegend(state.session.classes, point);
  const face = series.size > 1 ? [`Face ${id}`] : [];
  byId("history-span").textContent = [...face, ...(point ? [`${point.time.toFixed(1)} s`] : [])].join(", ");
  byId("summary").textContent = summaryOf(points);
}

function nearest(points, second) {
  return points.reduce((best, one) => {
    return best && Math.abs(best.time - second) <= Math.abs(one.time - second) ? best : one;
  }, null);
}

// Show the colour of each expression, and its probability at one point.
function drawLegend(classes, point) {
  const legend = byId("legend");
  if (legend.dataset.classes !== classes.join()) {
    legend.dataset.classes = classes.join();
    legend.replaceChildren(...classes.map((name) => {
      const item = document.createElement("li");
      const [swatch, value] = [document.createElement("span"), document.createElement("span")];
      swatch.className = "swatch";
      swatch.style.background = colorOf(name, classes);
      item.append(swatch, `${name} `, value);
      return item;
    }));
  }
  classes.forEach((name, index) => {
    const share = point?.probabilities[name];
    legend.children[index].lastChild.textContent = share === undefined ? "–" : `${Math.round(100 * share)} %`;
  });
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
