// Lets the simulated wallet that this file comes from answer navigator.credentials.get({digital: …}) of a page:
//   <script src="http://127.0.0.1:8703/dc-api.js" data-wallet="mila"></script>
// The wallet decides whether the page's origin may ask; a person decides on the wallet's own page what is shown.
"use strict";

(() => {
  const protocols = ["openid4vp-v1-signed", "openid4vp-v1-multisigned", "openid4vp-v1-unsigned", "org-iso-mdoc"];
  const { origin } = new URL(document.currentScript.src);
  const { wallet = null } = document.currentScript.dataset;
  const own = navigator.credentials.get.bind(navigator.credentials);

  if (!("DigitalCredential" in window)) window.DigitalCredential = class DigitalCredential {};
  window.DigitalCredential.userAgentAllowsProtocol = (protocol) => protocols.includes(protocol);

  const refused = (message) => new DOMException(message, "NotAllowedError");

  const call = async (path, options) => {
    let response;
    try {
      response = await fetch(`${origin}${path}`, { credentials: "omit", referrerPolicy: "no-referrer", ...options });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw refused("The simulated wallet can't be reached, or lets no page of this origin ask.");
    }
    if (!response.ok) throw refused(`The simulated wallet refuses with status ${response.status}.`);
    return response.status === 204 ? null : response.json();
  };

  const credential = ({ protocol, data }) => {
    const members = { id: "", type: "digital", protocol, data, toJSON: () => ({ protocol, data }) };
    const fixed = Object.entries(members).map(([name, value]) => [name, { value, enumerable: true }]);
    return Object.create(window.DigitalCredential.prototype, Object.fromEntries(fixed));
  };

  const ask = async (digital, signal) => {
    signal?.throwIfAborted();
    const question = await call("/dc-api/questions", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ wallet, digital: { requests: digital.requests } }),
      signal,
    });
    const path = `/dc-api/questions/${question.id}`;
    const decide = question.decide && `${origin}${question.decide}`; // an unattended wallet asks nobody
    if (decide && window.open(decide, "_blank", "popup,width=420,height=844") === null) {
      await call(path, { method: "DELETE" });
      throw refused("The browser lets no window open: ask when somebody presses a button.");
    }
    try {
      for (;;) {
        const told = await call(path, { signal });
        if (told.state === "answered") return credential(told.answer);
        if (told.state === "refused") throw refused(`The simulated wallet refuses: ${told.error}.`);
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
    } catch (error) {
      if (error.name === "AbortError") await call(path, { method: "DELETE" });
      throw error;
    }
  };

  navigator.credentials.get = (options) => {
    const requests = options?.digital?.requests;
    const known = Array.isArray(requests) && requests.some(({ protocol }) => protocols.includes(protocol));
    return known ? ask(options.digital, options.signal) : own(options);
  };
})();
