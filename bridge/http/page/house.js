// Who works, and how the queue stands.
let deadCount = null;

const todo = (some) => some.reduce((sum, one) => sum + one.waiting + one.in_flight, 0);

function glance(seen) {
  const articles = todo(seen.queue.lanes);
  const left = articles + todo([seen.queue.lines]);
  const many = seen.workers.length === 1 ? "1 worker" : `${seen.workers.length} workers`;
  const work = left ? `${left} to do` : "nothing waits";
  const end = articles && seen.queue.eta_seconds !== null ? `, ${articles === left ? "" : "articles "}done in about ${lasting(seen.queue.eta_seconds)}` : "";
  const stuck = left > 0 && !seen.workers.length;
  find("#glance").className = stuck ? "bad" : "";
  find("#glance").textContent = seen.workers.length
    ? `${many} · ${work}${end}`
    : `No worker is there${left ? `, and ${left} wait for one` : ""}: nats-mlx worker starts one.`;
  document.title = left ? `${left} to do · nats-mlx` : "nats-mlx";
}

const tile = (name, value) => make("div", {}, make("dt", {}, name), make("dd", {}, value));

function showQueue(queue) {
  const articles = todo(queue.lanes), lines = todo([queue.lines]);
  fill(
    "#queue dl",
    tile("to do", articles + lines),
    tile("time left", articles ? lasting(queue.eta_seconds) : "–"),
    tile("done", queue.done),
    tile("dead", queue.dead),
  );
  const told = queue.lanes.map((lane) => [lane.lane, lane.waiting, lane.in_flight, lasting(lane.oldest_seconds)]);
  if (lines) told.push(["batch", queue.lines.waiting, queue.lines.in_flight, ""]);
  const rows = told.map((cells) => make("tr", {}, ...cells.map((cell) => make("td", {}, cell))));
  fill("#queue tbody", ...rows);
}

function worker(one) {
  const models = one.models.map((card) => `${card.name}${card.loaded ? "" : " (not loaded)"}`).join(", ");
  const speed = one.decode_tokens_per_second + one.prompt_tokens_per_second;
  const said = [
    `${one.running} of ${one.slots} rows, ${one.waiting} waiting`,
    speed ? `${Math.round(one.decode_tokens_per_second)} tokens/s written, ${Math.round(one.prompt_tokens_per_second)} read` : "idle",
    `${(one.memory_bytes / 2 ** 30).toFixed(1)} GiB`,
    `${one.version}, started ${ago(one.started_at)}`,
  ];
  return make(
    "div", { class: "row" },
    make("div", { class: "line" }, make("span", {}, one.host), make("span", { class: "soft" }, models)),
    make("meter", { min: 0, max: one.slots, value: one.running, "aria-label": "rows in use" }),
    make("p", { class: "soft" }, said.join(" · ")),
  );
}

function showHouse(seen) {
  glance(seen);
  showQueue(seen.queue);
  const none = nothing("Nobody at the moment. ", make("code", {}, "nats-mlx worker"), " starts one; what waits is not lost.");
  fill("#workers .list", ...(seen.workers.length ? seen.workers.map(worker) : [none]));
  showModels(seen.workers.flatMap((one) => one.models));
  const dead = `${seen.queue.dead} ${seen.queue.ever_dead}`; // one may have come while another went
  if (dead !== deadCount) {
    deadCount = dead;
    showDead();
  }
}

follow(
  () => "/overview/stream",
  (event) => showHouse(JSON.parse(event.data)),
  (error) => {
    find("#glance").className = "bad";
    find("#glance").textContent = error instanceof Refused ? error.message : "The bridge does not answer; trying again …";
  },
);
