// Boxes, numbers, labels and bars over the picture.

import { colorOf, labelOf } from "./expressions.js";

const GLIDE = 0.07; // time constant of moving boxes, in seconds
const TEXT_COLOR = "#eef2f5";
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif";
const MAX_BARS = 4;
const CHIP = { height: 26, gap: 6, padding: 9 };

export class Overlay {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.shown = new Map(); // id -> last box
    this.located = [];
    this.last = 0;
  }

  clear() {
    this.shown.clear();
    this.located = [];
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  // `size`: of the picture, for the coordinates of boxes. `chosen`: id of the face with a thick box.
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
    this.located = faces.map((face) => {
      const box = this.#towards(face, share);
      const x = mirrored ? size.width - box.x - box.width : box.x;
      return {
        face,
        x: left + x * scale, y: top + box.y * scale, width: box.width * scale, height: box.height * scale,
      };
    });
    drawFaces(context, this.located, { classes, chosen, width, height });
  }

  // Return the face at a position on the canvas: the smallest if boxes overlap.
  faceAt(x, y) {
    const hit = this.located.filter((one) => {
      return !one.face.whole && x >= one.x && x <= one.x + one.width && y >= one.y && y <= one.y + one.height;
    });
    return hit.sort((a, b) => a.width * a.height - b.width * b.height)[0]?.face ?? null;
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
}

// Draw faces at {face, x, y, width, height}. A single face has bars beside it. Several have labels
// that cover no other face, and at least their numbers.
export function drawFaces(context, located, { classes, chosen = null, width, height }) {
  for (const item of located) {
    if (!item.face.whole) drawBox(context, item, colorOf(item.face.expression, classes), item.face.id === chosen);
  }
  if (located.length === 1 && !located[0].face.whole && drawBars(context, located[0], classes, width, height)) return;
  drawChips(context, located, width, height);
}

function drawBox(context, { x, y, width, height }, color, chosen) {
  const radius = Math.min(14, width / 6);
  context.lineJoin = "round";
  for (const [style, line] of [["rgb(0 0 0 / 55%)", chosen ? 7 : 4.5], [color, chosen ? 4 : 2]]) {
    context.strokeStyle = style;
    context.lineWidth = line;
    context.beginPath();
    context.roundRect(x, y, width, height, radius);
    context.stroke();
  }
}

// Draw the label of each face in the longest form that has room, or else its number.
function drawChips(context, located, width, height) {
  context.font = `600 14px ${FONT}`;
  context.textBaseline = "middle";
  context.textAlign = "left";
  const single = located.length === 1;
  const forms = [
    ({ face }) => `${single ? "" : `${face.id}  `}${face.whole ? "whole photo: " : ""}${labelOf(face)}`,
    ({ face }) => `${single ? "" : `${face.id}  `}${face.expression}`,
    ({ face }) => (single ? face.expression : String(face.id)),
  ];
  const chips = [];
  for (const item of located) {
    for (const form of forms) {
      const others = [...located, ...chips];
      const chip = placeChip(context, item, form(item), others, width, height, form === forms.at(-1));
      if (!chip) continue;
      chips.push(chip);
      fillPanel(context, chip, 8);
      context.fillStyle = TEXT_COLOR;
      context.fillText(chip.text, chip.x + CHIP.padding, chip.y + CHIP.height / 2 + 0.5);
      break;
    }
  }
}

// Return the place of a label above or below its face, or null if it would cover something.
function placeChip(context, item, text, others, width, height, inside) {
  const wide = context.measureText(text).width + 2 * CHIP.padding;
  const left = Math.max(4, Math.min(item.x, width - wide - 4));
  const outside = [item.y - CHIP.height - CHIP.gap, item.y + item.height + CHIP.gap];
  const chips = [...outside, item.y + 3].map((y) => ({ x: left, y, width: wide, height: CHIP.height, text }));
  if (item.face.whole) return { ...chips[0], x: 8, y: 8 };
  const free = chips.slice(0, 2).find((chip) => {
    return chip.y >= 2 && chip.y + CHIP.height <= height - 2 && !others.some((other) => overlap(chip, other));
  });
  return free ?? (inside ? chips[2] : null);
}

// Draw the label and the most probable expressions beside the face; return false without room.
function drawBars(context, { face, x, y, width, height }, classes, within, tall) {
  const ranked = Object.entries(face.probabilities).sort((a, b) => b[1] - a[1]).slice(0, MAX_BARS);
  const wide = 176;
  const high = 46 + ranked.length * 22;
  if (tall < high + 8) return false;
  let left = x + width + 12;
  if (left + wide > within - 4) left = x - 12 - wide;
  if (left < 4) return false;
  const top = Math.max(4, Math.min(y + height / 2 - high / 2, tall - high - 4));
  fillPanel(context, { x: left, y: top, width: wide, height: high }, 12);
  context.textBaseline = "middle";
  context.textAlign = "left";
  context.fillStyle = TEXT_COLOR;
  context.font = `650 17px ${FONT}`;
  context.fillText(labelOf(face), left + 12, top + 22);
  context.font = `500 12.5px ${FONT}`;
  ranked.forEach(([name, share], row) => {
    const middle = top + 50 + row * 22;
    context.fillStyle = TEXT_COLOR;
    context.fillText(name, left + 12, middle, 58);
    for (const [style, length] of [["rgb(255 255 255 / 14%)", 88], [colorOf(name, classes), Math.max(4, 88 * share)]]) {
      context.fillStyle = style;
      context.beginPath();
      context.roundRect(left + 76, middle - 4, length, 8, 4);
      context.fill();
    }
  });
  return true;
}

function fillPanel(context, { x, y, width, height }, radius) {
  context.fillStyle = "rgb(12 18 22 / 80%)";
  context.beginPath();
  context.roundRect(x, y, width, height, radius);
  context.fill();
}

function overlap(a, b) {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}
