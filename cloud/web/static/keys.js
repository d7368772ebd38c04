// Single-key shortcuts. They can be turned off (WCAG 2.1.4) and never act while somebody types.
"use strict";
(() => {
  const dialog = document.getElementById("keys");
  const on = document.getElementById("keys-on");
  const NAME = "forewarn-keys";
  try { on.checked = localStorage.getItem(NAME) !== "off"; } catch { /* private mode: on until the page is left */ }
  on.addEventListener("change", () => {
    try { localStorage.setItem(NAME, on.checked ? "on" : "off"); } catch { /* kept for this page only */ }
  });
  const show = () => { if (!dialog.open) dialog.showModal(); };
  document.getElementById("show-keys").addEventListener("click", show);

  function step(by) {
    const links = [...document.querySelectorAll("[data-row] .row-link")];
    if (!links.length) return;
    const at = links.findIndex((link) => link.closest("[data-row]").contains(document.activeElement));
    links[Math.min(Math.max(at + by, 0), links.length - 1)].focus();
  }

  const actions = {
    "/": () => document.getElementById("q")?.focus(),
    j: () => step(1),
    k: () => step(-1),
    o: () => document.activeElement?.closest("[data-row]")?.querySelector(".row-link")?.click(),
    a: () => document.getElementById("ack-button")?.click(),
    r: () => document.querySelector(".outcome")?.focus(),
    "?": show,
  };

  document.addEventListener("keydown", (event) => {
    if (!on.checked || dialog.open || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    const action = Object.hasOwn(actions, event.key) ? actions[event.key] : null;
    if (!action) return;
    event.preventDefault();
    action();
  });
})();
