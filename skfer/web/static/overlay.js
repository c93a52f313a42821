// Boxes, labels and bars over the picture.

import { colorOf, labelOf } from "./expressions.js";

const GLIDE = 0.07; // time constant of moving boxes, in seconds
const TEXT_COLOR = "#eef2f5";
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif";
const MAX_BARS = 4;

export class Overlay {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.shown = new Map(); // id -> last box
    this.last = 0;
  }

  clear() {
    this.shown.clear();
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  // `size`: of the picture, for the coordinates of boxes. `chosen`: id of the face with bars.
  draw(faces, size, { classes, chosen, mirrored = false, glide = false, now = 0 }) {
    const { canvas, context } = this;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const scale = Math.min(width / size.width, height / size.height);
    const [left, top] = [(width - size.width * scale) / 2, (height - size.height * scale) / 2];
    const share = glide ? 1 - Math.exp(-(now - this.last) / 1000 / GLIDE) : 1;
    this.last = now;

    const present = new Set(faces.map((face) => face.id));
    for (const id of this.shown.keys()) if (!present.has(id)) this.shown.delete(id);
    const located = faces.map((face) => {
      const box = this.#towards(face, share);
      const x = mirrored ? size.width - box.x - box.width : box.x;
      return {
        face,
        x: left + x * scale, y: top + box.y * scale, width: box.width * scale, height: box.height * scale,
      };
    });
    // The chosen face is drawn last, on top.
    located.sort((a, b) => (a.face.id === chosen) - (b.face.id === chosen));
    for (const item of located) {
      const color = colorOf(item.face.expression, classes);
      this.#box(item, color, item.face.id === chosen);
      const withBars = item.face.id === chosen || faces.length === 1;
      if (withBars && this.#bars(item, classes, width, height)) continue;
      this.#chip(item, labelOf(item.face), width);
    }
  }

  #towards(face, share) {
    const before = this.shown.get(face.id) ?? face.box;
    const box = {};
    for (const side of ["x", "y", "width", "height"]) {
      box[side] = before[side] + share * (face.box[side] - before[side]);
    }
    this.shown.set(face.id, box);
    return box;
  }

  #box({ x, y, width, height }, color, chosen) {
    const { context } = this;
    const radius = Math.min(14, width / 6);
    context.lineJoin = "round";
    for (const [style, line] of [["rgb(0 0 0 / 55%)", chosen ? 6 : 4.5], [color, chosen ? 3 : 2]]) {
      context.strokeStyle = style;
      context.lineWidth = line;
      context.beginPath();
      context.roundRect(x, y, width, height, radius);
      context.stroke();
    }
  }

  #chip({ x, y, width, height }, text, within) {
    const { context } = this;
    context.font = `600 14px ${FONT}`;
    const wide = context.measureText(text).width + 18;
    const left = Math.max(4, Math.min(x + width / 2 - wide / 2, within - wide - 4));
    const top = y >= 34 ? y - 32 : y + height + 6;
    this.#panel(left, top, wide, 26, 8);
    context.fillStyle = TEXT_COLOR;
    context.textBaseline = "middle";
    context.textAlign = "left";
    context.fillText(text, left + 9, top + 13.5);
  }

  // Draw the label and the most probable expressions beside the face; return false without room.
  #bars({ face, x, y, width, height }, classes, within, tall) {
    const ranked = Object.entries(face.probabilities).sort((a, b) => b[1] - a[1]).slice(0, MAX_BARS);
    const wide = 176;
    const high = 46 + ranked.length * 22;
    if (tall < high + 8) return false;
    let left = x + width + 12;
    if (left + wide > within - 4) left = x - 12 - wide;
    if (left < 4) return false;
    const top = Math.max(4, Math.min(y + height / 2 - high / 2, tall - high - 4));
    const { context } = this;
    this.#panel(left, top, wide, high, 12);
    context.textBaseline = "middle";
    context.textAlign = "left";
    context.fillStyle = TEXT_COLOR;
    context.font = `650 17px ${FONT}`;
    context.fillText(labelOf(face), left + 12, top + 22);
    context.font = `500 12.5px ${FONT}`;
    ranked.forEach(([one, share], row) => {
      const middle = top + 50 + row * 22;
      context.fillStyle = TEXT_COLOR;
      context.fillText(one, left + 12, middle, 58);
      context.fillStyle = "rgb(255 255 255 / 18%)";
      context.beginPath();
      context.roundRect(left + 76, middle - 4, 88, 8, 4);
      context.fill();
      context.fillStyle = colorOf(one, classes);
      context.beginPath();
      context.roundRect(left + 76, middle - 4, Math.max(4, 88 * share), 8, 4);
      context.fill();
    });
    return true;
  }

  #panel(x, y, width, height, radius) {
    this.context.fillStyle = "rgb(12 18 22 / 78%)";
    this.context.beginPath();
    this.context.roundRect(x, y, width, height, radius);
    this.context.fill();
  }
}
