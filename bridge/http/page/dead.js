// Dead letters with their reasons, and the button that sends one again.
function note(words) {
  find("#dead .note").hidden = !words;
  find("#dead .note").textContent = words;
}

async function retry(path, button) {
  button.disabled = true;
  note("");
  try {
    await ask(`${path}/retry`, { method: "POST" });
    await showDead();
  } catch (error) {
    note(error.message);
    button.disabled = false;
  }
}

function letter(one) {
  const path = `/dead/${encodeURIComponent(one.recipe)}/${encodeURIComponent(one.id)}`;
  const button = make("button", { type: "button" }, "Retry");
  button.addEventListener("click", () => retry(path, button));
  const said = one.letter
    ? [one.recipe, `${one.letter.attempts} attempts`, one.letter.worker, ago(one.letter.failed_at)]
    : [one.recipe, "no letter"];
  return make(
    "div", { class: "row" },
    make("div", { class: "line" }, make("span", {}, one.id), make("span", { class: "chip bearish" }, one.letter?.reason ?? "unknown"), button),
    make("p", {}, one.letter?.error ?? ""),
    make("p", { class: "soft" }, said.filter(Boolean).join(" · ")),
  );
}

async function showDead() {
  try {
    const page = await read("/dead?limit=100");
    const letters = page.data.reverse();
    find("#dead .side").textContent = page.has_more ? "the first 100; nats-mlx dead ls has all" : letters.length || "";
    fill("#dead .list", ...(letters.length ? letters.map(letter) : [nothing("None.")]));
  } catch (error) {
    fill("#dead .list", nothing(error.message));
  }
}
