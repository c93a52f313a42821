// What was read since something was started: the records that become the CSV, and the history.

const MOST_RECORDS = 36000; // an hour of a camera at ten frames a second

export class Session {
  constructor(classes, size) {
    this.classes = classes; // of the model that reads now
    this.allClasses = [...classes]; // of every model that has read
    this.size = size; // of the picture that boxes are measured in
    this.records = [];
    this.series = new Map(); // id -> [{time, expression, probabilities}]
    this.faces = []; // of the latest record
  }

  // Another model reads from now on; what was read stays.
  change(classes) {
    this.classes = classes;
    this.allClasses.push(...classes.filter((name) => !this.allClasses.includes(name)));
  }

  // A frame of a camera or video, whose faces have ids from 0.
  addFrame(source, time, found, model) {
    const faces = found.map((face) => ({ ...face, id: face.id + 1 }));
    for (const { id, expression, probabilities } of faces) {
      if (!this.series.has(id)) this.series.set(id, []);
      this.series.get(id).push({ time, expression, probabilities });
    }
    return this.#add({ source, time, model, faces });
  }

  // A photo: faces are numbered, nobody is followed from one photo to the next.
  addPhoto(source, found, model, size) {
    const faces = found.map((face, index) => ({ ...face, id: index + 1 }));
    return this.#add({ source, time: null, model, faces, size });
  }

  // The faces at a second of a video: between two frames, boxes are in between too.
  facesAt(time) {
    const { records } = this;
    let next = records.findIndex((record) => record.time > time);
    if (next === -1) next = records.length;
    const [before, after] = [records[next - 1], records[next]];
    if (!before) return after?.faces ?? [];
    if (!after) return before.faces;
    const share = (time - before.time) / (after.time - before.time);
    return before.faces.map((face) => {
      const later = after.faces.find((other) => other.id === face.id);
      if (!later) return face;
      const box = {};
      for (const side in face.box) box[side] = face.box[side] + share * (later.box[side] - face.box[side]);
      return { ...face, box };
    });
  }

  #add(record) {
    this.records.push(record);
    if (this.records.length > MOST_RECORDS) {
      this.records.shift();
      for (const [id, points] of this.series) {
        while (points.length && points[0].time < this.records[0].time) points.shift();
        if (!points.length) this.series.delete(id);
      }
    }
    this.faces = record.faces;
    return record;
  }
}
