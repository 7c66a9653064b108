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
