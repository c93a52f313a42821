// Results as CSV: a row for each face, and one for a frame without a face.

const CONTROL = /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

// Prefix text that a spreadsheet would compute with an apostrophe, and escape control characters.
function field(value) {
  if (typeof value === "string")
    value = value.replace(CONTROL, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
  const word = typeof value === "string" && /^'*\s*[=+\-@\uff1d\uff0b\uff0d\uff20]/.test(value);
  const text = value === null || value === undefined ? "" : (word ? "'" : "") + String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

// `records`: {source, time, model, faces}, with time null for a photo. `classes`: of all models.
export function asCsv(records, classes) {
  const head = ["source", "time", "model", "face", "x", "y", "width", "height", "confidence", "expression", "probability"];
  const rows = [[...head, ...classes]];
  for (const { source, time, model, faces } of records) {
    const start = [source, time === null ? null : time.toFixed(3), model];
    if (!faces.length) rows.push([...start, ...Array(head.length - start.length + classes.length).fill(null)]);
    for (const { id, whole, box, confidence, expression, probability, probabilities } of faces) {
      rows.push([
        ...start, whole ? null : id, box.x, box.y, box.width, box.height, confidence, expression, probability,
        ...classes.map((name) => probabilities[name]),
      ]);
    }
  }
  return rows.map((row) => row.map(field).join(",") + "\r\n").join("");
}

export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
