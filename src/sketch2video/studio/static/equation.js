/** The equation of the frame or of the selection, typeset with MathML, and its copies. */

import * as api from "./api.js";
import { coefficientsAt, strokeNumbers } from "./curves.js";
import { announce, byId, h, math, saveFile, settled } from "./dom.js";
import { openMenu } from "./menu.js";

const DIGITS = 4;
const MOST_SHOWN = 12; // strokes of a frame; further ones are behind a button
const LIVE_NUMBERS = 100; // up to which the equation follows a drag; the layout of more takes longer than a frame
const PAUSE_MS = 120;

const word = (text) => math("mi", { mathvariant: "normal", class: "upright" }, text);
const letter = (text) => math("mi", { mathvariant: "normal", class: "letter" }, text);
const number = (text) => math("mn", {}, text);
const sign = (text, attributes = {}) => math("mo", attributes, text);

const bracket = (text) => sign(text, { stretchy: "false", lspace: "0", rspace: "0" });

/** A number with four decimals at most. */
export const decimals = (value) => String(Number(Math.abs(value).toFixed(DIGITS)));

/** The terms of a series: [{value, k}], the ones that round to zero left out; y points up, as in graphs. */
export function terms(row, flipped) {
  return row
    .map((value, k) => ({ k, value: flipped ? (k === 0 ? 1 - value : -value) : value }))
    .filter(({ value }) => Number(value.toFixed(DIGITS)) !== 0);
}

function termNode({ value, k }, first) {
  const minus = value < 0;
  const lead = first && !minus ? [] : [sign(minus ? "−" : "+", { lspace: "0", rspace: first ? "0" : "0.22em" })];
  const angle = [k > 1 ? number(String(k)) : null, letter("π"), letter("t")];
  const wave = k ? [math("mspace", { width: "0.12em" }), word("cos"), bracket("("), ...angle, bracket(")")] : [];
  return math("math", { class: "term" }, math("mrow", {}, ...lead, number(decimals(value)), ...wave));
}

function side(axis, index) {
  const named = math("msub", {}, letter(axis), number(String(index)));
  return math("math", { class: "side" }, math("mrow", {}, named, bracket("("), letter("t"), bracket(")"), sign("=", { lspace: "0.28em", rspace: "0" })));
}

/** One line: x_s(t) = a_0 + a_1 cos(pi t) + ..., which wraps between terms. */
function line(axis, index, row, flipped) {
  const all = terms(row, flipped);
  const body = all.length ? all.map((term, i) => termNode(term, i === 0)) : [math("math", { class: "term" }, number("0"))];
  const spaced = body.flatMap((node) => [node, " "]);
  return h("div", { class: "row" }, side(axis, index), h("span", { class: "sum" }, ...spaced));
}

const FORMATS = [
  ["latex", "LaTeX"], ["desmos", "Desmos"], ["svg", "SVG"], ["json", "JSON"],
];

export class EquationView {
  /** @param {import("./state.js").Store} store */
  constructor(store) {
    this.store = store;
    this.root = byId("formula");
    this.rows = new Map();
    this.all = false;
    this.later = settled(() => this.show(), PAUSE_MS);
    const menu = byId("copy-menu");
    menu.append(
      ...FORMATS.map(([format, title]) =>
        h("button", { type: "button", class: "menu-item", onclick: () => this.copy(format, title) }, `Copy as ${title}`),
      ),
    );
    openMenu(byId("copy-button"), menu);
  }

  /** Strokes whose equation is shown: the selected ones, or all of the frame. */
  get shown() {
    const { doc, view } = this.store;
    const visible = (doc.drawing?.strokes ?? []).filter((stroke) => stroke.visible[view.frame]);
    const chosen = visible.filter((stroke) => view.selected.has(stroke.id));
    return { chosen: chosen.length > 0, strokes: chosen.length ? chosen : visible };
  }

  /** Show the equation now, or, while a drag changes more than can be laid out in a frame, when it pauses. */
  follow() {
    const { strokes } = this.shown;
    const count = strokes.reduce((sum, stroke) => sum + strokeNumbers(stroke, this.store.view.frame), 0);
    if (this.store.inGesture && count > LIVE_NUMBERS) this.later();
    else this.show();
  }

  show() {
    this.later.stop();
    const { doc, view } = this.store;
    const { chosen, strokes } = this.shown;
    const all = doc.drawing?.strokes ?? [];
    byId("copy-button").disabled = !strokes.length;
    if (!strokes.length) {
      byId("equation-facts").textContent = "";
      this.rows.clear();
      this.root.replaceChildren(
        h("p", { class: "hint" }, all.length ? "This frame shows no strokes." : "Each stroke becomes a sum of cosines, written here."),
      );
      return;
    }
    const count = strokes.reduce((sum, stroke) => sum + strokeNumbers(stroke, view.frame), 0);
    const subject = chosen ? (strokes.length > 1 ? `${strokes.length} strokes` : `stroke ${all.indexOf(strokes[0]) + 1}`) : `frame ${view.frame + 1}`;
    byId("equation-facts").textContent = `${subject} · ${count} numbers`;
    const limit = this.all ? strokes.length : MOST_SHOWN;
    const rows = new Map();
    const nodes = strokes.slice(0, limit).map((stroke) => {
      // Only strokes whose coefficients have changed are typeset again.
      const before = this.rows.get(stroke.id);
      const index = all.indexOf(stroke) + 1;
      const still = before && before.stroke === stroke && before.frame === view.frame && before.index === index;
      const row = still ? before : { stroke, frame: view.frame, index, node: this.#stroke(stroke, index, view.frame) };
      rows.set(stroke.id, row);
      return row.node;
    });
    this.rows = rows;
    const more = strokes.length - limit;
    const rest = more > 0 ? [h("button", { type: "button", class: "quiet", onclick: () => ((this.all = true), this.show()) }, `${more} more strokes`)] : [];
    const note = h("p", { class: "hint" }, "0 ≤ t ≤ 1, in frame widths, x to the right, y up");
    this.root.replaceChildren(...nodes, ...rest, note);
  }

  #stroke(stroke, index, frame) {
    const { x, y } = coefficientsAt(stroke, frame);
    return h("div", { class: "stroke-equation" }, line("x", index, x, false), line("y", index, y, true));
  }

  async #text(format) {
    const { doc, view } = this.store;
    const { selected } = this.store;
    const still = ["latex", "desmos", "svg"].includes(format);
    const frame = still ? view.frame : null;
    const stroke = still && selected.length === 1 ? selected[0].id : null;
    return api.equation({ drawing: doc.drawing, frame, stroke, format });
  }

  async copy(format, title) {
    byId("copy-menu").hidePopover();
    try {
      const { text, numbers } = await this.#text(format);
      await navigator.clipboard.writeText(text);
      announce(`Copied as ${title}: ${numbers} numbers`);
    } catch (error) {
      announce(error.name === "NotAllowedError" ? "The browser did not allow copying; use Download" : error.message, { error: true });
    }
  }

  /** Offer the drawing as a file; a format that does not move gets the frame that is shown. */
  async download(format, name, still) {
    const { doc, view } = this.store;
    try {
      saveFile(name, await api.exported(format, { drawing: doc.drawing, frame: still ? view.frame : null }));
    } catch (error) {
      announce(error.message, { error: true });
    }
  }
}
