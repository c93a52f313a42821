// History of one face: a line for each expression.

import { colorOf, themeColor } from "./expressions.js";

const GAP = 1.2; // seconds with frames without the face after which a line is interrupted
const MARGIN = { left: 50, right: 16, top: 10, bottom: 24 };
const FONT = "12px system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif";

const share = (point, name) => point.probabilities[name] ?? 0;

export class Chart {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
  }

  // `points`: {time, frame, probabilities}, in order of time. `span`: first and last second. `cursor` and
  // `pointed`: seconds.
  draw(points, classes, span, cursor = null, pointed = null) {
    const { canvas, context } = this;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.span = span;
    this.area = { left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top, bottom: height - MARGIN.bottom };
    this.#grid(span);
    const shown = points.filter((point) => point.time >= span[0] && point.time <= span[1]);
    if (shown.length) {
      const latest = [...shown].reverse().find((point) => cursor === null || point.time <= cursor) ?? shown[0];
      const order = [...classes].sort((a, b) => share(latest, a) - share(latest, b));
      order.forEach((name, rank) => this.#line(shown, name, classes, rank === order.length - 1));
    }
    if (cursor !== null) this.#cursor(cursor, []);
    if (pointed !== null) this.#cursor(pointed, [4, 4]);
  }

  // Return the second at a horizontal position on the canvas; null outside.
  secondAt(x) {
    if (!this.area || x < this.area.left || x > this.area.right) return null;
    const share = (x - this.area.left) / (this.area.right - this.area.left);
    return this.span[0] + share * (this.span[1] - this.span[0]);
  }

  #x(time) {
    const { left, right } = this.area;
    return left + ((time - this.span[0]) / Math.max(1e-6, this.span[1] - this.span[0])) * (right - left);
  }

  #y(value) {
    return this.area.bottom - value * (this.area.bottom - this.area.top);
  }

  #grid([first, last]) {
    const { context, area } = this;
    context.font = FONT;
    context.fillStyle = themeColor("--quiet");
    context.strokeStyle = themeColor("--line");
    context.lineWidth = 1;
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const value of [0, 0.5, 1]) {
      const y = Math.round(this.#y(value)) + 0.5;
      context.beginPath();
      context.moveTo(area.left, y);
      context.lineTo(area.right, y);
      context.stroke();
      context.fillText(`${100 * value} %`, area.left - 8, y);
    }
    context.textBaseline = "top";
    context.textAlign = "center";
    const step = [0.5, 1, 2, 5, 10, 20, 30, 60].find((one) => (last - first) / one <= 8) ?? 120;
    for (let tick = Math.ceil(first / step) * step; tick <= last + 1e-6; tick += step) {
      context.fillText(`${Number(tick.toFixed(1))} s`, this.#x(tick), area.bottom + 8);
    }
  }

  #line(points, name, classes, top) {
    const { context } = this;
    context.strokeStyle = colorOf(name, classes);
    context.lineWidth = top ? 3 : 1.5;
    context.globalAlpha = top ? 1 : 0.7;
    context.lineJoin = "round";
    context.lineCap = "round"; // a single point is a dot
    context.beginPath();
    let before = { time: -Infinity, frame: -1 };
    for (const point of points) {
      if (!(name in point.probabilities)) continue; // from a model with other classes
      const [x, y] = [this.#x(point.time), this.#y(point.probabilities[name])];
      if (point.time - before.time > GAP && point.frame > before.frame + 1) context.moveTo(x, y);
      context.lineTo(x, y);
      before = point;
    }
    context.stroke();
    context.globalAlpha = 1;
  }

  #cursor(time, dashes) {
    const { context, area } = this;
    context.setLineDash(dashes);
    context.strokeStyle = themeColor("--ink");
    context.lineWidth = 1.5;
    context.beginPath();
    context.moveTo(this.#x(time), area.top);
    context.lineTo(this.#x(time), area.bottom);
    context.stroke();
    context.setLineDash([]);
  }
}
