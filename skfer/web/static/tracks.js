// Faces followed from frame to frame: an id for each, and probabilities without the jitter.

const SMOOTHING = 0.35; // seconds
const FORGOTTEN = 1.0; // seconds without being seen

function overlap(a, b) {
  const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  if (width <= 0 || height <= 0) return 0;
  const shared = width * height;
  return shared / (a.width * a.height + b.width * b.height - shared);
}

export function strongest(probabilities) {
  return Object.entries(probabilities).reduce((best, one) => (one[1] > best[1] ? one : best));
}

export class Tracks {
  constructor() {
    this.tracks = [];
    this.count = 0;
  }

  // The faces of the next frame, each with `id` and the smoothed probabilities `smooth`.
  follow(faces, time) {
    this.tracks = this.tracks.filter((track) => time - track.time <= FORGOTTEN && time >= track.time);
    const pairs = [];
    faces.forEach((face, index) => {
      for (const track of this.tracks) {
        const shared = overlap(face.box, track.box);
        if (shared > 0.15) pairs.push({ index, track, shared });
      }
    });
    pairs.sort((a, b) => b.shared - a.shared);
    const trackOf = new Map();
    const taken = new Set();
    for (const { index, track } of pairs) {
      if (trackOf.has(index) || taken.has(track)) continue;
      trackOf.set(index, track);
      taken.add(track);
    }
    return faces.map((face, index) => this.#seen(trackOf.get(index), face, time));
  }

  #seen(known, face, time) {
    const track = known ?? { id: ++this.count, smooth: { ...face.probabilities }, time };
    if (!known) this.tracks.push(track);
    const share = 1 - Math.exp(-(time - track.time) / SMOOTHING);
    for (const name in face.probabilities) {
      track.smooth[name] += share * (face.probabilities[name] - track.smooth[name]);
    }
    track.box = face.box;
    track.time = time;
    return { ...face, id: track.id, smooth: { ...track.smooth } };
  }
}
