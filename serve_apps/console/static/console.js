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

// A page that is marked reads itself again while it is visible, and takes over the parts that differ: when a
// change is announced, else every few seconds. What a reader has opened stays open; a part with the focus waits.
const OFTEN_MS = 5000; // where no stream is to be had
const SELDOM_MS = 30000; // beside a stream: ages, and what is no change of an incident
const STREAM_AGAIN_MS = 60000; // after the server had no stream to give
const main = document.querySelector("main[data-live]");
const live = document.getElementById("live");
const seen = new Map([...document.querySelectorAll("main[data-live] [data-part]")].map((part) => [part.dataset.part, part.outerHTML]));
let stream = null, streamAt = 0, readAt = Date.now(), reading = false, again = false;

function takeOver(fresh) {
  document.title = fresh.title;
  main.dataset.shown = fresh.querySelector("main")?.dataset.shown ?? main.dataset.shown;
  for (const part of fresh.querySelectorAll("[data-part]")) {
    const name = part.dataset.part;
    const old = main.querySelector(`[data-part="${CSS.escape(name)}"]`);
    if (!old || seen.get(name) === part.outerHTML || old.contains(document.activeElement)) continue;
    seen.set(name, part.outerHTML);
    for (const box of old.querySelectorAll("input:checked")) {
      const twin = part.querySelector(`input[name="${CSS.escape(box.name)}"]`);
      if (twin) twin.checked = true;
    }
    const opened = [...old.querySelectorAll("details")].map((one) => one.open);
    part.querySelectorAll("details").forEach((one, at) => (one.open = opened[at] ?? one.open));
    old.replaceWith(document.adoptNode(part));
  }
}

async function readAgain() {
  if (reading) return void (again = true);
  reading = true;
  readAt = Date.now();
  try {
    const answer = await fetch(location.href, { headers: { "X-Signals-Live": "1" }, redirect: "error" });
    if (!answer.ok) throw new Error(String(answer.status));
    takeOver(new DOMParser().parseFromString(await answer.text(), "text/html"));
    say();
  } catch {
    live.textContent = "not live: reload the page";
  }
  reading = false;
  if (again) (again = false), readAgain();
}

const isStreaming = () => stream?.readyState === EventSource.OPEN;
const say = () => (live.textContent = isStreaming() ? "live" : `live: every ${OFTEN_MS / 1000} s`);

function openStream() {
  streamAt = Date.now();
  stream = new EventSource(`${main.dataset.stream}?after=${main.dataset.shown}`);
  stream.onopen = say;
  stream.onmessage = readAgain;
  stream.onerror = () => {
    if (stream?.readyState === EventSource.CLOSED) stream = null; // no stream to be had: 503, or signed out
    say();
  };
}

function look() {
  if (document.visibilityState !== "visible") return closeStream();
  if (main.dataset.live === "changes" && !stream && Date.now() - streamAt > STREAM_AGAIN_MS) openStream();
  if (Date.now() - readAt >= (isStreaming() ? SELDOM_MS : OFTEN_MS)) readAgain();
}

function closeStream() {
  stream?.close();
  if (stream) (stream = null), (streamAt = 0);
}

if (main && seen.size && live) {
  say();
  look();
  setInterval(look, OFTEN_MS / 5);
  addEventListener("visibilitychange", look);
  addEventListener("pagehide", closeStream);
}
// On a phone the navigation is wider than the screen.
const current = document.querySelector(".top nav [aria-current]");
if (current) current.parentElement.scrollLeft = current.offsetLeft - current.parentElement.clientWidth / 2;

// The live tail of a search: new events come on top. Who scrolls down, selects or stands in the list is not
// disturbed; a button says how many wait.
const TAIL_MS = 2000;
const TAIL_ROWS = 200;
const tail = document.getElementById("tail");

function startTail() {
  const [box, waiting, said] = ["input", "button", "span"].map((name) => tail.querySelector(name));
  const section = tail.parentElement;
  const known = () => new Set([...section.querySelectorAll("a.event")].map((link) => link.getAttribute("href")));
  let held = [];
  const isBusy = () => scrollY > 120 || !getSelection().isCollapsed || section.querySelector("ul")?.contains(document.activeElement);
  const show = () => {
    let list = section.querySelector("ul");
    if (!list) {
      section.querySelector(".empty")?.remove();
      list = section.appendChild(Object.assign(document.createElement("ul"), { className: "rows events" }));
      list.dataset.list = "";
    }
    list.prepend(...held);
    held = [];
    while (list.children.length > TAIL_ROWS) list.lastElementChild.remove();
    waiting.hidden = true;
  };
  const look = async () => {
    if (!box.checked || document.visibilityState !== "visible") return;
    try {
      const answer = await fetch(location.href, { headers: { "X-Signals-Live": "1" }, redirect: "error" });
      if (!answer.ok) throw new Error(String(answer.status));
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const old = new Set([...known(), ...held.map((row) => row.querySelector("a").getAttribute("href"))]);
      const rows = [...fresh.querySelectorAll("a.event")].filter((link) => !old.has(link.getAttribute("href")));
      held = [...rows.map((link) => document.adoptNode(link.parentElement)), ...held].slice(0, TAIL_ROWS);
      said.textContent = held.length && isBusy() ? "paused" : "following";
    } catch {
      said.textContent = "no answer; tried again";
    }
    if (held.length && !isBusy()) show();
    waiting.hidden = !held.length;
    waiting.textContent = `${held.length} new`;
  };
  tail.hidden = false;
  waiting.addEventListener("click", () => (show(), scrollTo(0, 0)));
  box.addEventListener("change", () => {
    const address = new URL(location.href);
    box.checked ? address.searchParams.set("tail", "1") : address.searchParams.delete("tail");
    history.replaceState(null, "", address);
    said.textContent = "";
    look();
  });
  setInterval(look, TAIL_MS);
}
if (tail) startTail();

// The answer to a question comes statement by statement; without this the form waits for all of it.
const asking = document.querySelector("form[data-ask]");

async function streamAnswer() {
  const said = asking.querySelector("[role=status]"), list = asking.parentElement.querySelector(".streamed");
  const button = asking.querySelector("button");
  button.disabled = true;
  list.replaceChildren();
  said.textContent = "The model is asked …";
  const answer = await fetch(asking.action, { method: "POST", headers: { Accept: "text/event-stream" }, body: new URLSearchParams(new FormData(asking)), redirect: "error" });
  if (!answer.headers.get("content-type")?.startsWith("text/event-stream")) {
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    said.textContent = page.querySelector("main p")?.textContent.trim() || "This did not work; reload the page.";
    return void (button.disabled = false);
  }
  const show = (kind, data) => {
    if (kind === "tool") said.textContent = `It searches: ${data.tool} …`;
    else if (kind === "statement") {
      const refs = Object.assign(document.createElement("span"), { className: "refs", textContent: data.refs.join(" ") });
      const row = document.createElement("li");
      row.append(refs, Object.assign(document.createElement("span"), { textContent: data.text }));
      list.append(row);
      list.hidden = false;
    } else if (kind === "failed") said.textContent = data.detail;
    else if (kind === "done") (said.textContent = ""), asking.reset();
  };
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = "", part; !(part = await reader.read()).done; ) {
    const blocks = (text + part.value).split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const kind = block.match(/^event: (.*)$/m)?.[1], data = block.match(/^data: (.*)$/m)?.[1];
      if (kind && data) show(kind, JSON.parse(data));
    }
  }
  button.disabled = false;
  list.replaceChildren();
  list.hidden = true;
  await readAgain(); // the whole answer, with what was searched
}

asking?.addEventListener("submit", (event) => {
  event.preventDefault();
  streamAnswer().catch(() => {
    asking.querySelector("[role=status]").textContent = "The connection ended; reload the page for the answer.";
    asking.querySelector("button").disabled = false;
  });
});

// The editor of rules tries the text when the writer pauses; only the newest answer is shown.
const PAUSE_MS = 900;
const editor = document.querySelector("form[data-preview]");
let pause, newest = 0;

async function tryDraft() {
  const mine = ++newest;
  const answer = await fetch(editor.dataset.preview, { method: "POST", body: new URLSearchParams(new FormData(editor)), redirect: "error" });
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector('[data-part="preview"]');
  const shown = document.querySelector('[data-part="preview"]');
  if (fresh && mine === newest) shown.replaceChildren(...document.adoptNode(fresh).childNodes);
}

editor?.addEventListener("input", () => {
  clearTimeout(pause);
  pause = setTimeout(() => tryDraft().catch(() => {}), PAUSE_MS);
});

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

const PAGES = { o: "/", u: "/outages", i: "/incidents", s: "/search", d: "/deploys", r: "/rules", p: "/pipeline" };
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
  else if (event.key === "x") document.activeElement.closest("[data-list] > li")?.querySelector(".pick input")?.click();
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
