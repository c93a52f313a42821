// Panel beside the picture: label and bars of one face, also for screen readers.

import { colorOf, countExpressions, labelOf } from "./expressions.js";

const ANNOUNCE_AFTER = 800; // milliseconds before a new expression is announced
const MAX_BUTTONS = 60;

export const NO_FACE_IN_PHOTO = "No face in this photo";

const byId = (id) => document.getElementById(id);

export class Panel {
  constructor() {
    this.onChoose = () => {};
    this.wanted = null; // id of the face that the user chose
    this.announced = "";
    this.pending = "";
    this.classes = [];
    this.buttons = "";
  }

  reset(classes) {
    this.classes = classes;
    this.wanted = null;
    this.announced = "";
    byId("bars").replaceChildren(...classes.map((name) => this.#bar(name)));
    this.show([]);
  }

  // Return the face that the user chose, or else the largest.
  chosen(faces) {
    return faces.find((face) => face.id === this.wanted) ?? faces[0] ?? null;
  }

  choose(id) {
    this.wanted = id;
    this.onChoose();
  }

  // `empty`: the text if there is no face.
  show(faces, { atOnce = false, empty = "No picture yet" } = {}) {
    const face = this.chosen(faces);
    byId("count").textContent = faces.length > 1 ? `${faces.length} faces` : "";
    this.#choices(faces, face);
    byId("hint").hidden = empty !== NO_FACE_IN_PHOTO || face !== null;
    const label = byId("label");
    label.classList.toggle("none", !face);
    const name = face?.expression ?? null;
    label.textContent = face ? `${face.whole ? "Whole photo: " : ""}${labelOf(face)}` : empty;
    label.dataset.expression = name ?? "";
    for (const item of byId("bars").children) {
      const share = face?.probabilities[item.dataset.name] ?? 0;
      item.classList.toggle("top-one", item.dataset.name === name);
      item.querySelector(".track span").style.width = `${100 * share}%`;
      item.querySelector(".value").textContent = face ? `${Math.round(100 * share)} %` : "–";
    }
    this.#announce(face ? `${faces.length > 1 ? `Face ${face.id}: ` : ""}${name}` : empty, atOnce);
  }

  #bar(name) {
    const item = document.createElement("li");
    item.dataset.name = name;
    const parts = ["name", "track", "value"].map((part) => {
      const span = document.createElement("span");
      span.className = part;
      return span;
    });
    parts[0].textContent = name;
    parts[1].append(document.createElement("span"));
    parts[1].firstChild.style.background = colorOf(name, this.classes);
    item.append(...parts);
    return item;
  }

  #choices(faces, face) {
    const group = byId("faces");
    const listed = [...faces].sort((a, b) => a.id - b.id).slice(0, MAX_BUTTONS);
    const ids = listed.map((one) => one.id);
    group.hidden = ids.length < 2;
    // Replaced only when they change, so that a button keeps the focus.
    if (this.buttons !== ids.join()) {
      this.buttons = ids.join();
      group.replaceChildren(...ids.map((id) => {
        const button = document.createElement("button");
        button.type = "button";
        button.dataset.id = id;
        button.addEventListener("click", () => this.choose(id));
        return button;
      }));
    }
    listed.forEach((one, index) => {
      const button = group.children[index];
      const text = `${one.id} ${labelOf(one)}`;
      if (button.textContent !== text) button.textContent = text;
      button.setAttribute("aria-label", `Face ${text}`);
      button.setAttribute("aria-pressed", String(one.id === face?.id));
    });
  }

  #announce(text, atOnce) {
    if (text === this.pending && !atOnce) return;
    this.pending = text;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      if (text !== this.announced && this.classes.length) byId("announcer").textContent = text;
      this.announced = text;
    }, atOnce ? 0 : ANNOUNCE_AFTER);
  }
}

// Return the share of the frames with each expression, largest first.
export function summaryOf(points) {
  if (!points?.length) return "";
  const parts = countExpressions(points).slice(0, 3)
    .map(([name, count]) => `${name} ${Math.max(1, Math.round((100 * count) / points.length))} %`);
  return `By share of the frames with this face: ${parts.join(", ")}.`;
}
