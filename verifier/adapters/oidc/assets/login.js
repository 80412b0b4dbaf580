// Draws a fresh picture every ten seconds and goes on when the phone has answered. Without scripts the page loads anew.
const waiting = document.getElementById("waiting");
const picture = document.getElementById("qr");
const address = picture.getAttribute("src");
let looks = 0;

const timer = setInterval(async () => {
  looks += 1;
  if (looks % 10 === 0) picture.src = `${address}?${looks}`;
  const { state } = await (await fetch(waiting.dataset.state)).json();
  if (state === "answered") window.location.assign(waiting.dataset.done);
  if (state === "expired") waiting.textContent = waiting.dataset.expired;
  if (state !== "pending") clearInterval(timer);
}, 1000);
