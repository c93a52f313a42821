// Table of photos, and copies of them with the faces drawn in.

import { save } from "./csv.js";
import { countExpressions, labelOf } from "./expressions.js";
import { drawFaces } from "./overlay.js";
import { byId, problem } from "./stage.js";

const LONGER_SIDE = 4096; // of a copy
const DRAWN_SIDE = 800; // longer side for which the sizes of letters are meant
const MIN_RATIO = 0.8; // of letters in smaller photos

// Add a photo with its faces. `onOpen` is called with the record.
export function addRow(record, classes, onOpen) {
  const open = element("button", "open");
  open.record = record;
  open.setAttribute("aria-label", `Show ${record.source}`);
  const image = element("img");
  image.src = record.url;
  image.alt = "";
  open.append(image, element("span", "", record.source));
  open.addEventListener("click", () => onOpen(record));

  const copy = element("button", "copy", "Save");
  copy.setAttribute("aria-label", `Save an annotated copy of ${record.source}`);
  copy.disabled = !record.faces.length;
  copy.addEventListener("click", () => saveCopy(record, classes));
  append(open, String(record.count), summary(record), copy);
}

// Add a photo that could not be read.
export function addFailed(name) {
  append(element("span", "", name), "–", "not read", "");
}

export function markRow(record) {
  for (const button of byId("rows").querySelectorAll(".open")) {
    button.setAttribute("aria-pressed", String(button.record === record));
  }
}

function append(...cells) {
  const row = element("tr");
  for (const content of cells) {
    const cell = element("td");
    cell.append(content);
    row.append(cell);
  }
  byId("rows").append(row);
  byId("photos").hidden = false;
}

// Return the label of one face, or the number of faces of each expression.
function summary({ faces, count }) {
  if (!faces.length) return "no face";
  if (!count) return `whole photo: ${labelOf(faces[0])}`;
  if (count === 1) return labelOf(faces[0]);
  return countExpressions(faces).map(([name, times]) => `${times} ${name}`).join(", ");
}

async function saveCopy({ file, source, faces, size }, classes) {
  try {
    const bitmap = await createImageBitmap(file);
    const scale = Math.min(1, LONGER_SIDE / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(bitmap.width * scale);
    canvas.height = Math.round(bitmap.height * scale);
    const context = canvas.getContext("2d");
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    const ratio = Math.max(MIN_RATIO, Math.max(canvas.width, canvas.height) / DRAWN_SIDE);
    const [width, height] = [canvas.width / ratio, canvas.height / ratio];
    const [across, down] = [width / size.width, height / size.height];
    const located = faces.map((face) => ({
      face,
      x: face.box.x * across, y: face.box.y * down,
      width: face.box.width * across, height: face.box.height * down,
    }));
    context.scale(ratio, ratio);
    drawFaces(context, located, { classes, width, height });
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
    save(blob, `${source.replace(/\.[^.]*$/, "")}-faces.jpg`);
  } catch {
    problem(`This browser can't draw a copy of ${source}.`);
  }
}

function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (tag === "button") made.type = "button";
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}
