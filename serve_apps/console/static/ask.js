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
  dispatchEvent(new Event("signals:read")); // the whole answer, with what was searched
}

asking?.addEventListener("submit", (event) => {
  event.preventDefault();
  streamAnswer().catch(() => {
    asking.querySelector("[role=status]").textContent = "The connection ended; reload the page for the answer.";
    asking.querySelector("button").disabled = false;
  });
});
