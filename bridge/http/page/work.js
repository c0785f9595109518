// What came out: the last analyses, how many there were, and what they say of each coin.
const SLOTS = 36, SPAN = HOURS * 3600e3;
const MOODS = { bullish: 1, neutral: 0, bearish: -1 };
let analyses = [];
let cursor = 0;
let drawn = false;

const slotOf = (analysis) => {
  const age = Date.now() - Date.parse(analysis.finished_at);
  return age >= SPAN ? -1 : Math.min(SLOTS - 1, Math.floor((SPAN - age) / (SPAN / SLOTS)));
};
const slotTime = (slot) => Date.now() - SPAN + (slot * SPAN) / SLOTS;
const between = (slot) => `${clock(slotTime(slot))} to ${clock(slotTime(slot + 1))}`;
const plot = (width, height, ...inside) => make("svg", { width, height, role: "img" }, ...inside);
const room = (selector) => Math.max(240, find(selector).clientWidth);

// As many times of day as there is room for.
function hours(left, width, y) {
  const step = (width - left) / HOURS, every = step < 70 ? 2 : 1;
  return Array.from({ length: HOURS / every }, (_, at) =>
    make("text", { x: left + at * every * step, y }, clock(slotTime((at * every * SLOTS) / HOURS))),
  );
}

function drawThroughput() {
  const counts = new Array(SLOTS).fill(0);
  for (const one of analyses) if (slotOf(one) >= 0) counts[slotOf(one)] += 1;
  const total = counts.reduce((a, b) => a + b, 0);
  find("#throughput .side").textContent = total ? `${total}, each bar 10 minutes, at most ${Math.max(...counts)}` : "";
  if (!total) {
    fill("#throughput .plot", nothing("None yet. ", make("code", {}, "nats-mlx publish FILE"), " sends articles."));
    return;
  }
  const all = room("#throughput .plot"), height = 120, width = all / SLOTS, most = Math.max(...counts);
  const bars = counts.map((count, slot) => {
    const tall = count ? Math.max(2, (count / most) * height) : 0;
    const bar = make("rect", { class: "bar", x: slot * width + 1, y: height - tall, width: width - 2, height: tall, rx: 2 });
    bar.append(make("title", {}, `${count}, ${between(slot)}`));
    return bar;
  });
  fill("#throughput .plot", plot(all, height + 18, ...bars, make("line", { class: "base", x1: 0, x2: all, y1: height, y2: height }), ...hours(0, all, height + 14)));
}

// Per coin the sum and number of moods in each slot; the eight coins that are spoken of most.
function moods() {
  const coins = new Map();
  for (const one of analyses) {
    const slot = slotOf(one), mood = MOODS[one.result?.sentiment];
    if (slot < 0 || mood === undefined || !Array.isArray(one.result.coins)) continue;
    for (const coin of new Set(one.result.coins.map(String))) {
      const cells = coins.get(coin) ?? coins.set(coin, { count: 0, slots: new Map() }).get(coin);
      const cell = cells.slots.get(slot) ?? cells.slots.set(slot, { sum: 0, count: 0 }).get(slot);
      cells.count += 1;
      cell.sum += mood;
      cell.count += 1;
    }
  }
  return [...coins].sort((a, b) => b[1].count - a[1].count).slice(0, 8);
}

function drawMoods() {
  const rows = moods();
  if (!rows.length) return fill("#mood .plot", nothing("Nothing about a coin in this time."));
  const all = room("#mood .plot"), left = 84, tall = 24, width = (all - left) / SLOTS;
  const marks = rows.flatMap(([coin, { count, slots }], row) => {
    const name = make("text", { x: 0, y: row * tall + 16 }, `${coin.slice(0, 8)} ${count}`);
    const cells = [...slots].map(([slot, cell]) => {
      const mean = cell.sum / cell.count;
      const mood = mean > 0.2 ? "bullish" : mean < -0.2 ? "bearish" : "neutral";
      const mark = make("rect", {
        class: mood, x: left + slot * width + 1, y: row * tall + 2, width: width - 2, height: tall - 4, rx: 3,
        opacity: mood === "neutral" ? 0.8 : 0.4 + 0.6 * Math.abs(mean),
      });
      mark.append(make("title", {}, `${coin}: ${cell.count}, ${mean.toFixed(1)} from -1 bearish to 1 bullish, ${between(slot)}`));
      return mark;
    });
    return [name, ...cells];
  });
  fill("#mood .plot", plot(all, rows.length * tall + 18, ...marks, ...hours(left, all, rows.length * tall + 14)));
}

function title(article) {
  if (!/^https?:\/\//i.test(article.url ?? "")) return make("span", {}, article.title);
  return make("a", { href: article.url, rel: "noopener noreferrer", target: "_blank" }, article.title);
}

function latest(one) {
  const result = one.result ?? {};
  const text = result.summary ?? Object.values(result).find((value) => typeof value === "string") ?? "";
  const said = [
    one.recipe, (Array.isArray(result.coins) ? result.coins : []).join(", "),
    result.importance ? `importance ${result.importance}` : "", one.article.source, ago(one.finished_at),
    one.cached ? "known before" : `${lasting(one.timings.total)} from the queue`,
  ];
  const head = make("div", { class: "line" }, title(one.article));
  if (result.sentiment) head.append(make("span", { class: `chip ${result.sentiment in MOODS ? result.sentiment : ""}` }, result.sentiment));
  return make("div", { class: "row" }, head, make("p", {}, text), make("p", { class: "soft" }, said.filter(Boolean).join(" · ")));
}

function draw() {
  drawn = true;
  analyses = analyses.filter((one) => slotOf(one) >= 0);
  drawThroughput();
  drawMoods();
  const last = analyses.slice(-12).reverse();
  fill("#latest .list", ...(last.length ? last.map(latest) : [nothing("None in the last 6 hours.")]));
}
function redraw() {
  if (drawn) requestAnimationFrame(draw);
  drawn = false;
}

// What there is of the last hours, page by page; then whatever comes.
async function load() {
  const since = encodeURIComponent(new Date(Date.now() - SPAN).toISOString());
  for (let more = true; more; ) {
    const page = await read(cursor ? `/analyses?limit=100&cursor=${cursor}` : `/analyses?limit=100&since=${since}`);
    analyses.push(...page.data);
    cursor = page.cursor;
    more = page.has_more;
  }
  draw();
}

async function watch() {
  for (let failed = true; failed; ) {
    failed = await load().then(() => false, (error) => {
      fill("#latest .list", nothing(error.message));
      return true;
    });
    if (failed) await pause(5);
  }
  await follow(() => `/analyses/stream?cursor=${cursor}`, (event) => {
    cursor = Number(event.id);
    analyses.push(JSON.parse(event.data));
    redraw();
  });
}
watch();
setInterval(redraw, 60e3);
addEventListener("resize", redraw);
