// A button beside each text to be copied; without this file the text is selected by hand.
const SAID_MS = 4000; // how long a button says what it did

for (const pre of document.querySelectorAll("pre[data-copy]")) {
  const said = Object.assign(document.createElement("span"), { textContent: "Copy" });
  const what = Object.assign(document.createElement("span"), { className: "hidden", textContent: ` ${pre.dataset.copy}` });
  const button = Object.assign(document.createElement("button"), { type: "button" });
  const paste = Object.assign(document.createElement("div"), { className: "paste" });
  said.setAttribute("aria-live", "polite");
  button.append(said, what);
  pre.replaceWith(paste);
  paste.append(pre, button);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(pre.textContent);
      said.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(pre); // the browser allows no more
      said.textContent = "Selected";
    }
    setTimeout(() => (said.textContent = "Copy"), SAID_MS);
  });
}
