// Live camera: consent, recognition frame by frame, and stop.

import { readFrame } from "./api.js";
import {
  begin, byId, camera, choice, counted, pause, problem, sessionFor, shapeStage, state, status, video,
} from "./stage.js";
import { show } from "./view.js";

const MIN_INTERVAL = 40; // minimum milliseconds between two frames

export async function watch() {
  const signal = begin("camera");
  try {
    await camera.start(byId("device").value, () => leave("The camera was switched off."));
  } catch (error) {
    if (signal.aborted) return; // a file was chosen meanwhile
    leave("Ready.");
    problem(error.message);
    return;
  }
  if (signal.aborted) {
    camera.stop();
    return;
  }
  shapeStage(video.videoWidth, video.videoHeight);
  status("Camera is on.");
  await listDevices();
  const start = performance.now();
  let known = null;
  while (!signal.aborted) {
    const turn = performance.now();
    try {
      // The next frame is taken after the response, so that frames never queue.
      const frame = await camera.frame();
      const [time, chosen] = [(turn - start) / 1000, choice()];
      const answer = await readFrame(frame, chosen, time, known, signal);
      if (signal.aborted) return;
      const { width, height, classes, faces } = answer;
      known = answer.known;
      sessionFor(classes, { width, height }).addFrame("camera", time, faces, chosen.model);
      problem("");
      status(`Camera is on: ${counted(faces.length)}.`);
      show();
    } catch (error) {
      if (signal.aborted) return;
      if (![0, 429, 503].includes(error.status)) {
        leave("Ready.");
        problem(error.message);
        return;
      }
      if (error.status === 0) problem(error.message);
      await pause(1000 * error.retryAfter);
    }
    await pause(Math.max(0, MIN_INTERVAL - (performance.now() - turn)));
    while (document.hidden && !signal.aborted) await pause(200);
  }
}

// Stop the camera, and keep the results for download.
export function leave(text) {
  const before = state.session;
  begin("idle");
  status(text);
  if (!before?.records.length) return;
  state.session = before;
  byId("download").disabled = false;
  show({ atOnce: true });
}

async function listDevices() {
  const devices = await camera.devices();
  const select = byId("device");
  const active = camera.stream?.getVideoTracks()[0]?.getSettings().deviceId;
  select.replaceChildren(...devices.map((device, index) => {
    return new Option(device.label || `Camera ${index + 1}`, device.deviceId, false, device.deviceId === active);
  }));
  select.hidden = devices.length < 2;
  document.querySelector("label[for=device]").hidden = devices.length < 2;
}

export function askConsent() {
  byId("agreed").checked = false;
  byId("consent-start").disabled = true;
  byId("consent").showModal();
}
