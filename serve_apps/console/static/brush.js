// A span of the histogram is chosen by dragging over its bars, or by pressing two with Shift. Each bar is a link to
// its own span, which is all that there is without this file.
const CLICK_PX = 6; // less is no dragging; guess: an unsteady hand
const SVG = "http://www.w3.org/2000/svg";

function open(bars) {
  const spans = bars.map((bar) => new URL(bar.getAttribute("href"), location.href).searchParams);
  const address = new URL(bars[0].getAttribute("href"), location.href);
  address.searchParams.set("since", spans.map((span) => span.get("since")).sort()[0]);
  address.searchParams.set("until", spans.map((span) => span.get("until")).sort().at(-1));
  location.assign(address);
}

function start(chart) {
  const bars = [...chart.querySelectorAll("a")];
  let from = null, first = null, brush = null, hasDragged = false;
  const x = (event) => ((event.clientX - chart.getBoundingClientRect().left) * chart.viewBox.baseVal.width) / chart.getBoundingClientRect().width;
  const chosen = (a, b) => bars.filter((bar) => {
    const { x, width } = bar.querySelector(".hit").getBBox();
    return x + width > Math.min(a, b) && x < Math.max(a, b);
  });
  chart.addEventListener("dragstart", (event) => event.preventDefault());
  chart.addEventListener("pointerdown", (event) => {
    hasDragged = false;
    if (event.button === 0 && !event.shiftKey) from = { x: x(event), client: event.clientX };
  });
  chart.addEventListener("pointermove", (event) => {
    if (!from || Math.abs(event.clientX - from.client) < CLICK_PX) return;
    if (!brush) {
      brush = chart.appendChild(document.createElementNS(SVG, "rect"));
      for (const [name, value] of Object.entries({ class: "brush", y: 0, height: chart.viewBox.baseVal.height })) brush.setAttribute(name, value);
      chart.setPointerCapture(event.pointerId);
    }
    brush.setAttribute("x", Math.min(from.x, x(event)));
    brush.setAttribute("width", Math.abs(x(event) - from.x));
  });
  chart.addEventListener("pointerup", (event) => {
    const found = brush && chosen(from.x, x(event));
    hasDragged = Boolean(brush);
    brush?.remove();
    from = brush = null;
    if (found?.length) open(found);
  });
  chart.addEventListener("pointercancel", () => (brush?.remove(), (from = brush = null)));
  chart.addEventListener("click", (event) => {
    const bar = event.target.closest("a");
    if (hasDragged || (event.shiftKey && bar)) event.preventDefault();
    if (!event.shiftKey || !bar) return;
    if (first) return open([first, bar]);
    first = bar;
    bar.classList.add("first");
  });
}

for (const chart of document.querySelectorAll(".histogram[role=group]")) start(chart);
for (const help of document.querySelectorAll(".brush-help")) help.hidden = false;
