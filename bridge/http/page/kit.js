// What every part of the page uses: elements, words for numbers, and requests with the key.
const HOURS = 6;
const find = (selector) => document.querySelector(selector);
const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

// Text goes in as text and never as markup, wherever it comes from.
function make(tag, attributes = {}, ...inside) {
  const svg = ["svg", "rect", "text", "line", "title", "g"].includes(tag);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...inside.map((one) => (one instanceof Node ? one : String(one))));
  return element;
}
const fill = (selector, ...inside) => find(selector).replaceChildren(...inside);
const nothing = (...words) => make("p", { class: "empty" }, ...words);

function lasting(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} d`;
}
const ago = (time) => `${lasting(Math.max(0, (Date.now() - Date.parse(time)) / 1000))} ago`;
const clock = (time) => new Date(time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

// The key is this tab's: no cookie, nothing that a browser adds to requests by itself.
const keyed = () => {
  const key = sessionStorage.getItem("key");
  return key ? { Authorization: `Bearer ${key}` } : {};
};
let unlock = () => {};
let unlocked = new Promise((done) => (unlock = done));
find("#key").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("key", find("#key-text").value.trim());
  find("#key").hidden = true;
  unlock();
  unlocked = new Promise((done) => (unlock = done));
});

class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// A 401 waits for the person to give a key; any other error has the sentence that the bridge gave.
async function ask(path, options = {}) {
  for (;;) {
    const response = await fetch(path, { ...options, headers: { ...options.headers, ...keyed() }, credentials: "omit" });
    if (response.ok) return response;
    if (response.status !== 401) {
      const told = await response.json().catch(() => ({}));
      throw new Refused(response.status, told.error?.message ?? `The bridge answered ${response.status}.`);
    }
    find("#key").hidden = false;
    find("#glance").textContent = "";
    await unlocked;
  }
}
const read = async (path) => (await ask(path)).json();

// Server-sent events of an answer. EventSource could not show a key.
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const event = { type: "message", data: "" };
      for (const line of block.split("\n")) {
        const [name, ...after] = line.split(": ");
        if (name === "data") event.data += after.join(": ");
        if (name === "id") event.id = after[0];
        if (name === "event") event.type = after[0];
      }
      if (event.data) yield event;
    }
  }
}

// Follows a stream for good; `path` says where to go on after it broke.
async function follow(path, take, broken = () => {}) {
  for (;;) {
    try {
      for await (const event of events(await ask(path()))) {
        if (event.type === "error") broken(new Refused(0, JSON.parse(event.data).error.message));
        else take(event);
      }
    } catch (error) {
      broken(error);
    }
    await pause(3);
  }
}
