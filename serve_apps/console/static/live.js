// A page that is marked reads itself again while it is visible, and takes over what differs: when a change is
// announced, else every few seconds. Nodes that did not change stay, so that selection, scroll, focus and opened
// details stay with them.
const OFTEN_MS = 5000; // where no stream is to be had
const SELDOM_MS = 30000; // beside a stream: ages, and what is no change of an incident
const STREAM_AGAIN_MS = 60000; // after there was no stream to be had
const MOST_STREAMS = 4; // of a browser: it opens six connections to a host, and pages need some of them
const main = document.querySelector("main[data-live]");
const live = document.getElementById("live");
let stream = null, leavePlace = null, streamAt = 0, readAt = Date.now(), reading = false, again = false, failed = false;

const nameOf = (node) => (node.nodeType === Node.ELEMENT_NODE && (node.id || node.dataset.row || node.querySelector(":scope > a[href]")?.getAttribute("href"))) || "";
const isSelected = (node) => !getSelection().isCollapsed && getSelection().containsNode(node, true);

function takeNode(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue && !isSelected(old)) old.nodeValue = fresh.nodeValue;
    return;
  }
  for (const { name, value } of fresh.attributes) if (name !== "open" && old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const { name } of [...old.attributes]) if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
  takeChildren(old, fresh);
}

// Children are paired by name, else in order by kind; what has left goes first, so that nothing else moves.
function takeChildren(old, fresh) {
  const names = new Set([...fresh.childNodes].map(nameOf));
  for (const child of [...old.childNodes]) if (nameOf(child) && !names.has(nameOf(child))) child.remove();
  const named = new Map([...old.childNodes].filter(nameOf).map((child) => [nameOf(child), child]));
  let at = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const name = nameOf(child);
    const twin = name ? named.get(name) : at && !nameOf(at) ? at : null;
    named.delete(name); // a second child of this name is another one
    if (twin?.nodeName === child.nodeName) {
      if (twin === at) at = at.nextSibling;
      else old.insertBefore(twin, at);
      takeNode(twin, child);
    } else old.insertBefore(document.adoptNode(child), at);
  }
  for (let next; at; at = next) (next = at.nextSibling), at.remove();
}

function takeOver(fresh) {
  document.title = fresh.title;
  main.dataset.shown = fresh.querySelector("main")?.dataset.shown ?? main.dataset.shown;
  for (const part of fresh.querySelectorAll("[data-part]")) {
    const old = main.querySelector(`[data-part="${CSS.escape(part.dataset.part)}"]`);
    const isWrittenIn = old?.contains(document.activeElement) && document.activeElement.matches("input:not([type=checkbox]), textarea, select");
    if (old && !isWrittenIn) takeNode(old, part);
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
    failed = false;
  } catch {
    failed = true;
  }
  say();
  reading = false;
  if (again) (again = false), readAgain();
}

const isStreaming = () => stream?.readyState === EventSource.OPEN;

function say() {
  if (failed) tell("bad", `not live: tried again every ${OFTEN_MS / 1000} s`); // until a page was read
  else if (isStreaming()) tell("", "live");
  else tell("slow", `live: every ${OFTEN_MS / 1000} s`);
}

function tell(state, text) {
  live.classList.remove("bad", "slow");
  if (state) live.classList.add(state);
  if (live.textContent !== text) live.textContent = text; // it is read aloud
}

// Pages of one browser share its places; a lock that ends with its page holds each. Null when all are taken.
async function takePlace() {
  if (!navigator.locks) return () => {};
  for (let n = 0; n < MOST_STREAMS; n++) {
    const leave = await new Promise((taken) => {
      navigator.locks.request(`signals-stream-${n}`, { ifAvailable: true }, (lock) => (lock ? new Promise((leave) => taken(leave)) : taken(null)));
    });
    if (leave) return leave;
  }
  return null;
}

async function openStream() {
  streamAt = Date.now();
  leavePlace = await takePlace();
  if (document.visibilityState !== "visible") return closeStream();
  if (!leavePlace) return say();
  stream = new EventSource(`${main.dataset.stream}?after=${main.dataset.shown}`);
  stream.onopen = () => (failed ? readAgain() : say());
  stream.onmessage = readAgain;
  stream.onerror = () => {
    if (stream?.readyState === EventSource.CLOSED) closeStream(Date.now()); // 503, or signed out
    say();
  };
}

function look() {
  if (document.visibilityState !== "visible") return closeStream();
  if (main.dataset.live === "changes" && !stream && Date.now() - streamAt > STREAM_AGAIN_MS) openStream();
  if (Date.now() - readAt >= (isStreaming() ? SELDOM_MS : OFTEN_MS)) readAgain();
}

function closeStream(at = 0) {
  stream?.close();
  leavePlace?.();
  stream = leavePlace = null;
  streamAt = at;
}

if (main?.querySelector("[data-part]") && live) {
  if (main.dataset.live !== "changes") say(); // else once it is known whether there is a stream
  look();
  setInterval(look, OFTEN_MS / 5);
  addEventListener("visibilitychange", look);
  addEventListener("pagehide", () => closeStream());
  addEventListener("signals:read", readAgain); // another module has changed something
}
