// What needs a script on the home page; without one a link can be pasted all the same.
"use strict";

const field = document.getElementById("link");

if ("BarcodeDetector" in window) {
  const detector = new BarcodeDetector({ formats: ["qr_code"] });
  const state = document.getElementById("picture-state");
  document.getElementById("picture-part").hidden = false;
  document.getElementById("picture").addEventListener("change", async (event) => {
    const [file] = event.target.files;
    if (!file) return;
    try {
      const [found] = await detector.detect(await createImageBitmap(file));
      if (!found) throw new Error("no code");
      field.value = found.rawValue;
      state.textContent = state.dataset.found;
      field.focus();
    } catch {
      state.textContent = state.dataset.none;
    }
  });
}

if ("registerProtocolHandler" in navigator) {
  const button = document.getElementById("register");
  const state = document.getElementById("register-state");
  document.getElementById("register-part").hidden = false;
  button.addEventListener("click", () => {
    navigator.registerProtocolHandler(button.dataset.scheme, `${location.origin}/open?link=%s`);
    state.textContent = state.dataset.done;
  });
}
