// What needs a script on the home page; without one a link can be pasted and a picture sent all the same.
"use strict";

const field = document.getElementById("link");
const form = document.getElementById("picture-form");
const state = document.getElementById("picture-state");

const detected = async (picture) => {
  if (!("BarcodeDetector" in window)) return null;
  const detector = new BarcodeDetector({ formats: ["qr_code"] });
  const [found] = await detector.detect(await createImageBitmap(picture)).catch(() => []);
  return found ? found.rawValue : null;
};

// The browser's own reader where it has one, else the wallet's.
const read = async (picture) => {
  const found = await detected(picture);
  if (found !== null) return found;
  const body = new FormData();
  body.append("csrf_token", form.elements.csrf_token.value);
  body.append("picture", picture, "picture");
  const response = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" } });
  return response.ok ? (await response.json()).link : null;
};

const take = (link) => {
  state.textContent = link === null ? state.dataset.none : state.dataset.found;
  if (link === null) return;
  field.value = link;
  field.focus();
};

const taken = async (picture) => {
  if (picture) take(await read(picture).catch(() => null));
};

document.getElementById("send-picture").hidden = true;
document.getElementById("picture-help").hidden = false;
document.getElementById("picture").addEventListener("change", (event) => taken(event.target.files[0]));
document.addEventListener("paste", (event) => {
  const [picture] = [...event.clipboardData.files].filter(({ type }) => type.startsWith("image/"));
  if (picture) event.preventDefault();
  taken(picture);
});
for (const name of ["dragover", "drop"]) {
  form.addEventListener(name, (event) => {
    event.preventDefault();
    if (name === "drop") taken(event.dataTransfer.files[0]);
  });
}

if (navigator.mediaDevices) {
  const video = document.getElementById("camera-picture");
  const start = document.getElementById("camera");
  const stop = document.getElementById("camera-stop");
  start.hidden = false;

  const end = () => {
    for (const track of video.srcObject?.getTracks() ?? []) track.stop();
    video.srcObject = null;
    video.hidden = stop.hidden = true;
    start.hidden = false;
  };

  const frame = () => {
    const canvas = document.createElement("canvas");
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    canvas.getContext("2d").drawImage(video, 0, 0);
    return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.9));
  };

  start.addEventListener("click", async () => {
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      video.hidden = stop.hidden = false;
      start.hidden = true;
      stop.focus();
      await video.play();
    } catch {
      end();
      state.textContent = state.dataset.camera;
      return;
    }
    state.textContent = state.dataset.looking;
    while (video.srcObject) {
      const found = await read(await frame()).catch(() => null);
      if (found !== null && video.srcObject) {
        end();
        take(found);
      }
      await new Promise((resolve) => setTimeout(resolve, 400));
    }
  });
  stop.addEventListener("click", () => {
    end();
    state.textContent = "";
    start.focus();
  });
}

if ("registerProtocolHandler" in navigator) {
  const button = document.getElementById("register");
  const told = document.getElementById("register-state");
  document.getElementById("register-part").hidden = false;
  button.addEventListener("click", () => {
    navigator.registerProtocolHandler(button.dataset.scheme, `${location.origin}/open?link=%s`);
    told.textContent = told.dataset.done;
  });
}
