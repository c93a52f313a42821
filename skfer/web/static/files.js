// Chosen or dropped files.

const ACCEPTED = ["image/jpeg", "image/png", "image/webp", "image/bmp"];
const LONGER_SIDE = 4096; // of a reduced photo

export function isVideo(file) {
  return file.type.startsWith("video/") || /\.(mp4|m4v|mov|webm|mkv|avi|ogv)$/i.test(file.name);
}

// Return a photo that the server accepts. Other formats (AVIF, GIF) and large photos are converted
// to JPEG. What the browser can't decode is sent unchanged, and the server returns the error.
export async function readyPhoto(file, mostBytes) {
  if (file.size <= mostBytes && (ACCEPTED.includes(file.type) || !file.type.startsWith("image/"))) {
    return file;
  }
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return file;
  }
  const scale = Math.min(1, LONGER_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(bitmap.width * scale);
  canvas.height = Math.round(bitmap.height * scale);
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
}
