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
