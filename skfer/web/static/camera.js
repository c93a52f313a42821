// The camera: its picture on the page, and frames as JPEG.

const LONGER_SIDE = 640; // of frames sent to the server
const QUALITY = 0.85;

const REASONS = {
  NotAllowedError: "Access to the camera was denied. Allow it in the address bar, then start the camera again.",
  NotFoundError: "No camera was found.",
  NotReadableError: "Another program is using the camera.",
  OverconstrainedError: "This camera is not available. Choose another one.",
};

export class Camera {
  constructor(video) {
    this.video = video;
    this.stream = null;
    this.canvas = document.createElement("canvas");
  }

  get on() {
    return this.stream !== null;
  }

  async start(device, onLost) {
    if (!navigator.mediaDevices) {
      throw new Error("Browsers allow cameras only on pages from localhost or over HTTPS.");
    }
    this.stop();
    const wanted = { width: { ideal: 1280 }, height: { ideal: 720 } };
    if (device) wanted.deviceId = { exact: device };
    else wanted.facingMode = "user";
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
    } catch (error) {
      throw new Error(REASONS[error.name] ?? `The camera can't be started: ${error.message}`);
    }
    this.stream.getVideoTracks()[0].addEventListener("ended", onLost);
    this.video.controls = false;
    this.video.srcObject = this.stream;
    await this.video.play();
  }

  stop() {
    if (!this.on) return;
    this.stream.getTracks().forEach((track) => track.stop());
    this.stream = null;
    this.video.srcObject = null;
  }

  // Return the cameras. Browsers hide their names until access to one is allowed.
  async devices() {
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.filter((device) => device.kind === "videoinput");
  }

  frame() {
    const { video, canvas } = this;
    const scale = Math.min(1, LONGER_SIDE / Math.max(video.videoWidth, video.videoHeight));
    canvas.width = Math.round(video.videoWidth * scale);
    canvas.height = Math.round(video.videoHeight * scale);
    canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
    return new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY));
  }
}
