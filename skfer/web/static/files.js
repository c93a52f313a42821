// Files that were chosen or dropped.

const READ_AS_THEY_ARE = ["image/jpeg", "image/png", "image/webp", "image/bmp"];
const LONGER_SIDE = 4096; // of a photo that had to be made smaller

export function isVideo(file) {
  return file.type.startsWith("video/") || /\.(mp4|m4v|mov|webm|mkv|avi|ogv)$/i.test(file.name);
}

// A photo as the server takes it. What only the browser can read (AVIF, GIF) or is too large is
// made a JPEG here; what the browser can't read either is left to the server to judge.
export async function readyPhoto(file, mostBytes) {
  if (file.size <= mostBytes && (READ_AS_THEY_ARE.includes(file.type) || !file.type.startsWith("image/"))) {
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
