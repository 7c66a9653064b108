// The keyboard: single keys that can be switched off, and never inside fields and dialogs.
const KEYS_OFF = "signals-keys-off";
const shortcuts = document.getElementById("shortcuts");
const help = document.getElementById("help");
if (shortcuts && help) {
  help.hidden = false;
  help.addEventListener("click", () => shortcuts.showModal());
  const off = document.getElementById("keys-off");
  off.checked = localStorage.getItem(KEYS_OFF) === "1";
  off.addEventListener("change", () => localStorage.setItem(KEYS_OFF, off.checked ? "1" : "0"));
}

const PAGES = { o: "/", u: "/outages", i: "/incidents", s: "/search", d: "/deploys", r: "/rules", p: "/pipeline", a: "/ai-jobs", n: "/send", t: "/settings" };
const SECOND_KEY_MS = 1500; // after it, `g` is forgotten: the next key means itself
let awaitsPageUntil = 0;

function step(by) {
  const links = [...document.querySelectorAll("[data-list] > li > a")];
  const at = links.indexOf(document.activeElement);
  links[Math.min(Math.max(at + by, 0), links.length - 1)]?.focus();
}

const pickOf = (element) => element.closest("[data-list] > li")?.querySelector(".pick input");

addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.querySelectorAll("details.menu[open]").forEach((menu) => (menu.open = false));
  const typing = event.target.closest?.("input, select, textarea, dialog, [contenteditable]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || shortcuts?.open) return;
  if (localStorage.getItem(KEYS_OFF) === "1") return;
  const base = location.pathname.match(/^\/console\/p\/[^/]+/)?.[0];
  if (Date.now() < awaitsPageUntil) {
    awaitsPageUntil = 0;
    if (base && event.key in PAGES) location.assign(base + PAGES[event.key]);
    return;
  }
  if (event.key === "g") awaitsPageUntil = Date.now() + SECOND_KEY_MS;
  else if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
  else if (event.key === "x") pickOf(document.activeElement)?.click();
  else if (event.key === "?" && shortcuts) shortcuts.showModal();
  else {
    const found = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    // In a list without a chosen row, the one with the focus is meant.
    if (found?.form?.id === "bulk" && !found.form.querySelector(".pick input:checked")) pickOf(document.activeElement)?.click();
    if (found instanceof HTMLInputElement) found.focus();
    else if (found) found.click();
    else if (event.key === "/" && base) location.assign(base + "/search");
    else return;
  }
  event.preventDefault();
});
