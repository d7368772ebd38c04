// Keeps a page alive: follows the server's events, says how old the newest data is, and lets htmx fetch what changed.
"use strict";
(() => {
  const box = document.getElementById("live");
  if (!box) return;
  const state = document.getElementById("live-state");
  const age = document.getElementById("live-age");
  const REFRESH_MS = 2000; // a page fetches itself at most this often
  let change = box.dataset.change;
  let newest = box.dataset.age === "" ? null : Date.now() - Number(box.dataset.age) * 1000;
  let pending = false;
  let refreshed = Date.now();

  function say(kind) {
    if (box.dataset.state === kind) return;
    box.dataset.state = kind;
    state.textContent = box.dataset[kind];
  }

  function ago(seconds) {
    const d = age.dataset;
    const s = Math.max(0, Math.round(seconds));
    const parts =
      s < 60 ? [s, d.second, d.seconds]
        : s < 7200 ? [Math.round(s / 60), d.minute, d.minutes]
          : s < 172800 ? [Math.round(s / 3600), d.hours, d.hours]
            : [Math.round(s / 86400), d.days, d.days];
    const text = (parts[0] === 1 ? parts[1] : parts[2]).replace("{}", parts[0]);
    return d.template.replace("{}", d.ago.replace("{}", text));
  }

  function beat() {
    const text = newest === null ? age.dataset.none : ago((Date.now() - newest) / 1000);
    if (age.textContent !== text) age.textContent = text;
    if (pending && !document.hidden && Date.now() - refreshed >= REFRESH_MS) {
      pending = false;
      refreshed = Date.now();
      document.body.dispatchEvent(new CustomEvent("forewarn:changed"));
    }
  }

  const source = new EventSource("/live");
  source.addEventListener("tick", (event) => {
    const tick = JSON.parse(event.data);
    say("live");
    newest = tick.age_s === null ? null : Date.now() - tick.age_s * 1000;
    if (tick.change !== change) {
      change = tick.change;
      pending = true;
    }
    beat();
  });
  source.addEventListener("error", () => {
    // The server ends each stream after a minute; only a failure to come back is worth a word.
    setTimeout(() => { if (source.readyState !== EventSource.OPEN) say("offline"); }, 3000);
  });
  source.addEventListener("open", () => say("live"));
  window.addEventListener("pagehide", () => source.close());
  setInterval(beat, 1000);

  // A choice that has a form of its own is sent as soon as it is made.
  document.querySelectorAll("form[data-auto]").forEach((form) => {
    form.addEventListener("change", () => form.requestSubmit());
  });
})();
