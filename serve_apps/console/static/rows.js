// A row of the search opens to the fields of its event in place, and copies them. Its link still is the event's own
// page, which opens without this file, and in another tab with Ctrl.
const OPEN = "open";

function note(id) {
  const address = new URL(location.href);
  id ? address.searchParams.set(OPEN, id) : address.searchParams.delete(OPEN);
  history.replaceState(null, "", address);
}

const idOf = (link) => new URL(link.href).pathname.split("/").at(-1);

async function toggle(link) {
  const row = link.parentElement, shown = row.querySelector(".inside");
  link.ariaExpanded = String(!shown);
  note(shown ? "" : idOf(link));
  if (shown) return shown.remove();
  const inside = row.appendChild(Object.assign(document.createElement("div"), { className: "inside" }));
  const answer = await fetch(link.href, { redirect: "error" }).catch(() => null);
  const table = answer?.ok && new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("event-fields");
  if (!table) return location.assign(link.href); // its page says what is wrong
  table.removeAttribute("id");
  const whole = Object.assign(document.createElement("a"), { href: link.href, textContent: "The whole event" });
  inside.replaceChildren(document.adoptNode(table), whole);
  offerCopies(inside);
}

function offerCopies(part) {
  for (const button of part.querySelectorAll("[data-copy]")) button.hidden = !navigator.clipboard;
}

addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (button) {
    await navigator.clipboard.writeText(button.closest(".field").firstElementChild.textContent);
    button.firstChild.textContent = "Copied";
    return;
  }
  const link = event.target.closest?.("li > a.event");
  if (!link || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  toggle(link);
});

offerCopies(document);
const wanted = new URLSearchParams(location.search).get(OPEN);
const link = wanted && [...document.querySelectorAll("li > a.event")].find((one) => idOf(one) === wanted);
if (link) toggle(link);
