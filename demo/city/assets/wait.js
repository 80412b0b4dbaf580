// Listens for fresh pictures and for the phone's answer, then goes on. Without scripts the page loads itself anew.
const waiting = document.getElementById("waiting");
const picture = document.getElementById("qr");
const link = document.getElementById("phone-link");
const address = picture.getAttribute("src");
const events = new EventSource(waiting.dataset.events);

events.addEventListener("picture", (event) => {
  picture.src = `${address}?${Date.now()}`;
  link.textContent = event.data;
});

events.addEventListener("answered", () => {
  events.close();
  window.location.assign(waiting.dataset.proceed);
});

events.addEventListener("expired", () => {
  events.close();
  waiting.textContent = waiting.dataset.expired;
});
