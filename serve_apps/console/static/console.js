// The console works without this file. It fills in the sign-in link, remembers the browser's time zone,
// closes menus, and adds the keyboard.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && !/(^|; )signals-zone=/.test(document.cookie)) {
  document.cookie = `signals-zone=${encodeURIComponent(zone).replaceAll("%2F", "/")}; Path=/; Max-Age=31536000; SameSite=Lax`;
}

// The token stands behind `#`, which browsers send to no server. Only this form sends it, once.
const signIn = document.getElementById("sign-in");
function useLink() {
  if (!signIn || location.hash.length < 2) return;
  signIn.elements.link.value = location.hash.slice(1);
  history.replaceState(null, "", location.pathname + location.search);
  signIn.requestSubmit();
}
useLink();
addEventListener("hashchange", useLink); // a link that is pasted into the address of the sign-in page

addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

// A page that is marked reads itself again while it is visible, and takes over the parts that differ.
// What a reader has opened stays open; a part that holds the focus waits.
const LIVE_MS = 5000;
const live = document.getElementById("live");
const seen = new Map([...document.querySelectorAll("main[data-live] [data-part]")].map((part) => [part.dataset.part, part.outerHTML]));

async function readAgain() {
  const answer = await fetch(location.href, { headers: { "X-Signals-Live": "1" }, redirect: "error" });
  if (!answer.ok) throw new Error(String(answer.status));
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.title = fresh.title;
  for (const part of fresh.querySelectorAll("[data-part]")) {
    const name = part.dataset.part;
    const old = document.querySelector(`main [data-part="${CSS.escape(name)}"]`);
    if (!old || seen.get(name) === part.outerHTML || old.contains(document.activeElement)) continue;
    seen.set(name, part.outerHTML);
    const opened = [...old.querySelectorAll("details")].map((one) => one.open);
    part.querySelectorAll("details").forEach((one, at) => (one.open = opened[at] ?? one.open));
    old.replaceWith(document.adoptNode(part));
  }
}

if (seen.size && live) {
  live.textContent = "live: every 5 s";
  setInterval(async () => {
    if (document.visibilityState !== "visible") return;
    try {
      await readAgain();
      live.textContent = "live: every 5 s";
    } catch {
      live.textContent = "not live: reload the page";
    }
  }, LIVE_MS);
}

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

const PAGES = { o: "/", i: "/incidents", s: "/search", p: "/pipeline" };
let awaitsPage = false;

function step(by) {
  const links = [...document.querySelectorAll("[data-list] > li > a")];
  const at = links.indexOf(document.activeElement);
  links[Math.min(Math.max(at + by, 0), links.length - 1)]?.focus();
}

addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.querySelectorAll("details.menu[open]").forEach((menu) => (menu.open = false));
  const typing = event.target.closest?.("input, select, textarea, dialog, [contenteditable]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || shortcuts?.open) return;
  if (localStorage.getItem(KEYS_OFF) === "1") return;
  const base = location.pathname.match(/^\/console\/p\/[^/]+/)?.[0];
  if (awaitsPage) {
    awaitsPage = false;
    if (base && event.key in PAGES) location.assign(base + PAGES[event.key]);
    return;
  }
  if (event.key === "g") awaitsPage = true;
  else if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
  else if (event.key === "?" && shortcuts) shortcuts.showModal();
  else {
    const found = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (found instanceof HTMLInputElement) found.focus();
    else if (found) found.click();
    else if (event.key === "/" && base) location.assign(base + "/search");
    else return;
  }
  event.preventDefault();
});
