// Completes names of fields and their values in the search line. Without it the line is a plain text field.
const MOST = 8; // completions at once; guess: what can be read while typing
const line = document.querySelector("input[data-fields]");
const box = document.getElementById("completions");
let values = null, offered = [], at = -1;

// The part of the line before the caret that belongs to one word or filter; blanks inside quotes do not end it.
function token() {
  const before = line.value.slice(0, line.selectionStart);
  let start = 0, isQuoted = false;
  for (let i = 0; i < before.length; i++) {
    if (before[i] === '"' && before[i - 1] !== "\\") isQuoted = !isQuoted;
    else if (!isQuoted && /[\s,]/.test(before[i])) start = i + 1;
  }
  return { start, text: before.slice(start) };
}

async function valuesOf(field) {
  values ??= fetch(line.dataset.values, { redirect: "error" }).then((answer) => (answer.ok ? answer.json() : {})).catch(() => ({}));
  return (await values)[field] ?? [];
}

const written = (value) => (/^[\w/.@-][\w/.:@%?=&+-]*$/.test(value) ? value : `"${value.replace(/[\\"]/g, "\\$&")}"`);
const fitting = (texts, typed) => texts.filter((text) => text.toLowerCase().includes(typed.toLowerCase())).slice(0, MOST);

async function suggest(all) {
  const { text } = token();
  const [, sign, key, colon, typed] = text.match(/^(-?)([\w.]*)(:"?)?([^]*)$/);
  const fields = line.dataset.fields.split(" ");
  if (colon && fields.includes(key)) {
    const found = fitting(await valuesOf(key), typed);
    if (token().text === text) offer(found.map((value) => ({ shown: value, text: `${sign}${key}:${written(value)} ` })));
  } else if (!colon && !typed && (key || all)) {
    offer(fields.filter((name) => name.startsWith(key) && name !== key).map((name) => ({ shown: `${name}:`, text: `${sign}${name}:` })));
  } else offer([]);
}

function offer(found) {
  offered = found;
  at = -1;
  box.replaceChildren(...found.map(({ shown }, i) => Object.assign(document.createElement("li"), { id: `completion-${i}`, role: "option", textContent: shown, ariaSelected: "false" })));
  box.hidden = !found.length;
  line.ariaExpanded = String(!box.hidden);
  line.removeAttribute("aria-activedescendant");
}

function mark(next) {
  box.children[at]?.setAttribute("aria-selected", "false");
  at = (next + offered.length) % offered.length;
  box.children[at].setAttribute("aria-selected", "true");
  box.children[at].scrollIntoView({ block: "nearest" });
  line.setAttribute("aria-activedescendant", box.children[at].id);
}

function take(i) {
  const { start } = token();
  line.setRangeText(offered[i].text, start, line.selectionStart, "end");
  line.focus();
  suggest();
}

if (line && box) {
  for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-controls": box.id, "aria-expanded": "false" })) line.setAttribute(name, value);
  line.addEventListener("input", () => suggest());
  line.addEventListener("blur", () => offer([]));
  line.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" && box.hidden) suggest(true);
    else if (box.hidden) return;
    else if (event.key === "ArrowDown") mark(at + 1);
    else if (event.key === "ArrowUp") mark(at < 0 ? -1 : at - 1);
    else if (event.key === "Escape") offer([]);
    else if (event.key === "Enter" && at >= 0) take(at);
    else return;
    event.preventDefault();
  });
  box.addEventListener("pointerdown", (event) => {
    event.preventDefault(); // the line keeps the focus
    const i = [...box.children].indexOf(event.target.closest("li"));
    if (i >= 0) take(i);
  });
}
