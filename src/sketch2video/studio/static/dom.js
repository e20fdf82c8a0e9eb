/** Elements of the page. Text is always inserted as text, never as HTML. */

const SVG = "http://www.w3.org/2000/svg";
const MATH = "http://www.w3.org/1998/Math/MathML";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** An HTML element with attributes, `on...` listeners and children (nodes or text). */
export const h = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);

/** An SVG element. */
export const svg = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

/** A MathML element. */
export const math = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS(MATH, tag), attributes, children);

/** An icon of the sprite in index.html. */
export const icon = (name) =>
  svg("svg", { class: "icon", "aria-hidden": "true" }, svg("use", { href: `#i-${name}` }));

/** Text for screen readers only. */
export const unseen = (text) => h("span", { class: "visually-hidden" }, text);

export const byId = (id) => document.getElementById(id);

/** Offer text or bytes as a file. */
export function saveFile(name, content, type) {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 30_000);
}

/** Call `work` at most once a frame of the screen; the newest arguments win. */
export function eachFrame(work) {
  let queued = null;
  return (...values) => {
    if (queued === null) {
      requestAnimationFrame(() => {
        const latest = queued;
        queued = null;
        work(...latest);
      });
    }
    queued = values;
  };
}

/** Call `work` after `ms` without another call; `stop()` forgets a call that waits. */
export function settled(work, ms) {
  let timer = 0;
  const later = (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...values), ms);
  };
  later.stop = () => clearTimeout(timer);
  return later;
}

let lastMessage = 0;

/** Show a line at the bottom, which screen readers read; `error` stays longer. */
export function announce(text, { error = false } = {}) {
  const line = byId(error ? "alert" : "status");
  const mine = ++lastMessage;
  byId(error ? "status" : "alert").textContent = "";
  line.textContent = text;
  setTimeout(() => {
    if (mine === lastMessage) line.textContent = "";
  }, error ? 9000 : 3500);
}
