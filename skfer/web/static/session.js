// Results of one camera, video or set of photos, for the CSV and the history.

const MAX_RECORDS = 36000; // an hour of a camera at ten frames a second

export class Session {
  constructor(classes, size) {
    this.classes = classes; // of the current model
    this.allClasses = [...classes]; // of all models so far
    this.size = size; // of the picture, for the coordinates of boxes
    this.records = [];
    this.series = new Map(); // id -> [{time, frame, expression, probabilities}]
    this.frames = 0;
    this.faces = []; // of the last record
  }

  // Change the model; earlier results stay.
  change(classes) {
    this.classes = classes;
    this.allClasses.push(...classes.filter((name) => !this.allClasses.includes(name)));
  }

  // Add a frame of a camera or video.
  addFrame(source, time, faces, model) {
    this.frames += 1;
    for (const { id, expression, probabilities } of faces) {
      if (!this.series.has(id)) this.series.set(id, []);
      this.series.get(id).push({ time, frame: this.frames, expression, probabilities });
    }
    return this.#add({ source, time, model, faces });
  }

  // Add a photo. Faces are numbered, but not tracked between photos. `whole`: whether no face was
  // found, and the only result is that of the whole photo.
  addPhoto(source, found, model, size, whole) {
    const faces = found.map((face, index) => ({ ...face, id: index + 1, whole }));
    return this.#add({ source, time: null, model, faces, size, count: whole ? 0 : faces.length });
  }

  // Return the faces at a second of a video, with boxes interpolated between frames.
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
    if (this.records.length > MAX_RECORDS) {
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
