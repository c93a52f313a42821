// The JSON API of the server that this page came from.

export class ApiError extends Error {
  constructor(status, message, retryAfter) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

async function answered(response) {
  if (response.ok) return response;
  let message = `The server answered ${response.status}.`;
  try {
    message = (await response.json()).error.message;
  } catch {
    // Not from the API: the number has to do.
  }
  throw new ApiError(response.status, message, Number(response.headers.get("Retry-After")) || 1);
}

async function post(path, parameters, body, options = {}) {
  let response;
  try {
    response = await fetch(`/api/v1/${path}?${new URLSearchParams(parameters)}`, {
      method: "POST",
      body,
      ...options,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "skfer does not answer. Is it still running?", 2);
  }
  return answered(response);
}

export async function readOptions() {
  return (await answered(await fetch("/api/v1/options"))).json();
}

// A photo's width, height, classes and faces.
export async function readPhoto(photo, choice, signal) {
  return (await post("recognize", choice, photo, { signal })).json();
}

// The same of a frame of a camera at `time` seconds; its faces have ids. `known` is that of the
// answer to the frame before: the server itself keeps nothing.
export async function readFrame(frame, choice, time, known, signal) {
  const form = new FormData();
  form.append("frame", frame, "frame.jpg");
  if (known) form.append("known", JSON.stringify(known));
  return (await post("recognize", { ...choice, time }, form, { signal })).json();
}

// Calls `onLine` with each line of the answer: the video, its frames, its end.
export async function readVideo(video, choice, onLine, signal) {
  const headers = { Accept: "application/x-ndjson" };
  const response = await post("video", choice, video, { headers, signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    const lines = (rest + (value ?? "")).split("\n");
    rest = lines.pop();
    lines.forEach((line) => onLine(JSON.parse(line)));
    if (done) return;
  }
}
