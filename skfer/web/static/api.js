// Client of the JSON API.

export class ApiError extends Error {
  constructor(status, message, retryAfter) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

async function checked(response) {
  if (response.ok) return response;
  let message = `The server returned status ${response.status}.`;
  try {
    message = (await response.json()).error.message;
  } catch {
    // Not an error of the API: it has no message.
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
    throw new ApiError(0, "The server does not respond. Check that it is running.", 2);
  }
  return checked(response);
}

export async function readOptions() {
  return (await checked(await fetch("/api/v1/options"))).json();
}

// Return the width, height, classes and faces of a photo.
export async function readPhoto(photo, choice, signal) {
  return (await post("recognize", choice, photo, { signal })).json();
}

// Return the same for a camera frame at `time` seconds; its faces have ids. `known` is that of the
// previous response, as the server keeps no state.
export async function readFrame(frame, choice, time, known, signal) {
  const form = new FormData();
  form.append("frame", frame, "frame.jpg");
  if (known) form.append("known", JSON.stringify(known));
  return (await post("recognize", { ...choice, time }, form, { signal })).json();
}

// Call `onLine` with each line of the response: the video, its frames, its end.
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
