/** The drawing on the canvas: strokes of the frame, onion skin, and the handles of the selection. */

import { bounds, coefficientsAt, pathOf } from "./curves.js";
import { svg } from "./dom.js";

export const SCALE = 1000; // units of the view box in a frame width
const ONION = [-2, -1, 1, 2];
const KNOB = 34; // distance of the handle for turning from the box, in px
const CORNERS = [
  ["nw", 0, 0], ["n", 0.5, 0], ["ne", 1, 0], ["e", 1, 0.5], ["se", 1, 1], ["s", 0.5, 1], ["sw", 0, 1], ["w", 0, 0.5],
];
const cache = new WeakMap();

/** The path of a stroke at a frame; strokes are immutable, so it is computed once. */
export function strokePath(stroke, t) {
  let paths = cache.get(stroke);
  if (!paths) cache.set(stroke, (paths = []));
  return (paths[t] ??= pathOf(coefficientsAt(stroke, t), SCALE));
}

export class Canvas {
  #rows = new Map(); // id of a stroke -> its elements
  #shown = new Map(); // id -> what its elements show

  constructor(root) {
    this.root = root;
    this.onion = svg("g", { class: "onion" });
    this.strokes = svg("g", { class: "strokes" });
    this.pen = svg("path", { class: "pen" });
    this.marquee = svg("rect", { class: "marquee", visibility: "hidden" });
    this.handles = svg("g", { class: "handles", visibility: "hidden" });
    root.append(this.onion, this.strokes, this.pen, this.handles, this.marquee);
    this.#buildHandles();
  }

  #buildHandles() {
    this.box = svg("path", { class: "box" });
    this.handles.append(this.box);
    this.grips = CORNERS.map(([name]) => {
      const hit = svg("circle", { class: `grip-hit ${name}`, "data-grip": name });
      const seen = svg("rect", { class: "grip" });
      this.handles.append(hit, seen);
      return { hit, seen };
    });
    this.knob = { hit: svg("circle", { class: "grip-hit turn", "data-grip": "turn" }), seen: svg("circle", { class: "knob" }) };
    this.handles.append(this.knob.hit, this.knob.seen);
  }

  /** Units of the view box in a pixel of the screen. */
  get unit() {
    return SCALE / (this.root.clientWidth || SCALE);
  }

  /** A position on the screen in frame widths. */
  position(event) {
    const box = this.root.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  /** Show a frame of the drawing, the strokes of `selected` marked. */
  show(drawing, t, selected) {
    const present = new Set();
    for (const stroke of drawing?.strokes ?? []) {
      present.add(stroke.id);
      this.#showStroke(stroke, t, selected.has(stroke.id));
    }
    for (const [id, row] of this.#rows) {
      if (present.has(id)) continue;
      row.group.remove();
      this.#rows.delete(id);
      this.#shown.delete(id);
    }
  }

  #showStroke(stroke, t, chosen) {
    let row = this.#rows.get(stroke.id);
    if (!row) {
      row = { line: svg("path", { class: "line" }), hit: svg("path", { class: "hit", "data-stroke": stroke.id }) };
      row.group = svg("g", {}, row.line, row.hit);
      this.strokes.append(row.group);
      this.#rows.set(stroke.id, row);
      this.#shown.set(stroke.id, {});
    }
    const shown = this.#shown.get(stroke.id);
    const visible = Boolean(stroke.visible[t]);
    const state = visible ? (chosen ? "chosen" : "plain") : chosen ? "ghost" : "none";
    if (shown.state !== state) row.group.setAttribute("class", (shown.state = state));
    if (state === "none" || (shown.stroke === stroke && shown.t === t)) return;
    const path = strokePath(stroke, t);
    row.line.setAttribute("d", path);
    row.hit.setAttribute("d", path);
    shown.stroke = stroke;
    shown.t = t;
  }

  /** Neighbouring frames in faint lines; null removes them. */
  showOnion(drawing, t) {
    const frames = drawing ? ONION.filter((step) => t + step >= 0 && t + step < drawing.frames) : [];
    this.onion.replaceChildren(
      ...frames.map((step) => {
        const shown = drawing.strokes.filter((stroke) => stroke.visible[t + step]);
        const side = step < 0 ? "past" : "future";
        return svg("path", {
          class: `${side} far-${Math.abs(step)}`,
          d: shown.map((stroke) => strokePath(stroke, t + step)).join(""),
        });
      }),
    );
  }

  /** The box around strokes at a frame, in frame widths, with room for a straight line; null if nothing is shown. */
  boxOf(strokes, t) {
    const box = bounds(strokes.filter((stroke) => stroke.visible[t]).map((stroke) => coefficientsAt(stroke, t)));
    if (!box) return null;
    const room = (10 * this.unit) / SCALE;
    return { left: box.left - room, right: box.right + room, top: box.top - room, bottom: box.bottom + room };
  }

  /** Handles at a box after a matrix; null hides them. */
  showHandles(box, matrix = { a: 1, b: 0, c: 0, d: 1, e: 0, f: 0 }) {
    this.handles.setAttribute("visibility", box ? "visible" : "hidden");
    if (!box) return;
    const unit = this.unit;
    const at = (sx, sy) => {
      const x = box.left + sx * (box.right - box.left);
      const y = box.top + sy * (box.bottom - box.top);
      return [SCALE * (matrix.a * x + matrix.c * y + matrix.e), SCALE * (matrix.b * x + matrix.d * y + matrix.f)];
    };
    const coarse = matchMedia("(pointer: coarse)").matches;
    const [reach, size] = coarse ? [22 * unit, 11 * unit] : [11 * unit, 8 * unit];
    const [nw, ne, se, sw] = [at(0, 0), at(1, 0), at(1, 1), at(0, 1)];
    const top = at(0.5, 0);
    const middle = at(0.5, 0.5);
    const length = Math.hypot(top[0] - middle[0], top[1] - middle[1]) || 1;
    let knob = top.map((value, axis) => value + ((value - middle[axis]) / length) * KNOB * unit);
    let stem = top;
    if (knob[1] < 8 * unit) {
      // No room above: the knob goes below the box.
      stem = at(0.5, 1);
      knob = stem.map((value, axis) => value + ((value - middle[axis]) / length) * KNOB * unit);
    }
    const line = (points) => points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");
    this.box.setAttribute("d", `M${line([nw, ne, se, sw])}ZM${line([stem, knob])}`);
    this.grips.forEach(({ hit, seen }, i) => {
      const [x, y] = at(CORNERS[i][1], CORNERS[i][2]);
      place(hit, { cx: x, cy: y, r: reach });
      place(seen, { x: x - size / 2, y: y - size / 2, width: size, height: size, rx: 2 * unit });
    });
    place(this.knob.hit, { cx: knob[0], cy: knob[1], r: reach });
    place(this.knob.seen, { cx: knob[0], cy: knob[1], r: size / 1.6 });
  }

  showMarquee(box) {
    this.marquee.setAttribute("visibility", box ? "visible" : "hidden");
    if (!box) return;
    place(this.marquee, {
      x: SCALE * box.left,
      y: SCALE * box.top,
      width: SCALE * (box.right - box.left),
      height: SCALE * (box.bottom - box.top),
    });
  }

  /** The line under the pen: points in frame widths; `fitting` while the server fits it. */
  showPen(points, fitting = false) {
    const d = points.length > 1 ? `M${points.map(([x, y]) => `${SCALE * x} ${SCALE * y}`).join("L")}` : "";
    this.pen.setAttribute("d", d);
    this.pen.classList.toggle("fitting", fitting);
  }
}

function place(element, numbers) {
  for (const [name, value] of Object.entries(numbers)) element.setAttribute(name, value.toFixed(2));
}
