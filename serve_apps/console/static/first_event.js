// A page that waits for a first event asks for it every few seconds; nothing else of the page changes, so that a
// selected line stays selected.
const LOOK_MS = 3000;
const waiting = document.querySelector("[data-arrivals]");

async function look() {
  if (document.visibilityState !== "visible") return;
  const answer = await fetch(waiting.dataset.arrivals, { headers: { "X-Signals-Live": "1" }, redirect: "error" });
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-arrived]");
  if (!fresh) return;
  clearInterval(timer);
  waiting.replaceChildren(document.adoptNode(fresh));
  waiting.closest(".card")?.classList.add("once");
  dispatchEvent(new Event("signals:read"));
}

const timer = waiting && setInterval(() => look().catch(() => {}), LOOK_MS);
