// Looks every second whether the phone has answered, then goes on. Without scripts the link below does the same.
const waiting = document.getElementById("waiting");

async function look() {
  try {
    const response = await fetch(waiting.dataset.state, { headers: { Accept: "application/json" } });
    if (response.status === 410) {
      waiting.textContent = waiting.dataset.expired;
      return;
    }
    if (response.ok && (await response.json()).answered) {
      window.location.assign(waiting.dataset.proceed);
      return;
    }
  } catch {
    // the network will be back or the page will be closed
  }
  window.setTimeout(look, 1000);
}

look();
