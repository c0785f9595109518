// A model to try, by the same endpoint that everybody uses.
let stopping = null;

function showModels(cards) {
  const names = [...new Set(cards.map((card) => card.name))].sort();
  const select = find("#chat select");
  const shown = [...select.options].map((option) => option.value);
  if (names.join() === shown.join()) return;
  const chosen = select.value;
  select.hidden = !names.length;
  select.replaceChildren(...names.map((name) => make("option", { value: name }, name)));
  if (names.includes(chosen)) select.value = chosen;
}

function busy(is) {
  const [send, stop] = find("#chat form").querySelectorAll("button");
  send.hidden = is;
  stop.hidden = !is;
}

async function say(content) {
  if (stopping) return; // one at a time: the second answer would be written into the first
  const answer = find("#chat .answer");
  answer.className = "answer";
  answer.textContent = "…";
  stopping = new AbortController();
  busy(true);
  let written = "";
  try {
    const body = JSON.stringify({ model: find("#chat select").value || undefined, messages: [{ role: "user", content }], stream: true });
    const headers = { "Content-Type": "application/json" };
    for await (const event of events(await ask("/v1/chat/completions", { method: "POST", body, headers, signal: stopping.signal }))) {
      if (event.data === "[DONE]") break;
      const chunk = JSON.parse(event.data);
      if (chunk.error) throw new Refused(0, chunk.error.message);
      const delta = chunk.choices[0]?.delta ?? {};
      written += delta.reasoning_content ?? delta.content ?? "";
      answer.textContent = written || "…";
    }
  } catch (error) {
    if (error.name === "AbortError") return;
    answer.className = "answer bad";
    answer.textContent = error.message;
  } finally {
    stopping = null;
    busy(false);
  }
}

find("#chat form").addEventListener("submit", (event) => {
  event.preventDefault();
  say(find("#chat textarea").value);
});
find("#chat textarea").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    find("#chat form").requestSubmit();
  }
});
find("#chat form button[type=button]").addEventListener("click", () => stopping?.abort());
