// The camera: its picture on the page, and single frames as JPEG.

const LONGER_SIDE = 640; // of the frames that are sent: faces are found in them, quickly
const QUALITY = 0.85;

const REASONS = {
  NotAllowedError: "The camera was not allowed. Allow it beside the page's address, then start it again.",
  NotFoundError: "There is no camera.",
  NotReadableError: "Another program is using the camera.",
  OverconstrainedError: "That camera is gone. Choose another one.",
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
      throw new Error("Browsers give a camera to pages from this computer (localhost) or over HTTPS only.");
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

  // The cameras there are; they have names once one was allowed.
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
