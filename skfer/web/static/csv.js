// What was read as a table: a row for each face, and one for a frame without any.

// A word that begins as a formula does gets an apostrophe, or a spreadsheet would compute it.
function field(value) {
  const word = typeof value === "string" && /^'*[=+\-@\t\r]/.test(value);
  const text = value === null || value === undefined ? "" : (word ? "'" : "") + String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

// `records`: {source, time, model, faces}, time null for a photo. `classes`: of all their models.
export function asCsv(records, classes) {
  const head = ["source", "time", "model", "face", "x", "y", "width", "height", "confidence", "expression", "probability"];
  const rows = [[...head, ...classes]];
  for (const { source, time, model, faces } of records) {
    const start = [source, time === null ? null : time.toFixed(3), model];
    if (!faces.length) rows.push([...start, ...Array(head.length - start.length + classes.length).fill(null)]);
    for (const { id, box, confidence, expression, probability, probabilities } of faces) {
      rows.push([
        ...start, id, box.x, box.y, box.width, box.height, confidence, expression, probability,
        ...classes.map((name) => probabilities[name]),
      ]);
    }
  }
  return rows.map((row) => row.map(field).join(",") + "\r\n").join("");
}

export function save(text, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
