/** Pointers on the canvas: select, move, scale, turn, pen. Works with mouse, pen and touch. */

import { bounds, coefficientsAt, scaling, shift, turning } from "./curves.js";
import { announce, eachFrame } from "./dom.js";
import { changed, transformedAt } from "./strokes.js";

const STARTS = 3; // px that a pointer moves before a press becomes a drag
const LEAST = 0.02; // smallest scale factor
const TURN_STEP = Math.PI / 12;
const MOST_POINTS = 4096;
const BEYOND = 0.25; // frame widths that a line may leave the frame by
const ANCHORS = {
  nw: [1, 1], n: [0.5, 1], ne: [0, 1], e: [0, 0.5], se: [0, 0], s: [0.5, 0], sw: [1, 0], w: [1, 0.5],
};

export class Tools {
  #gesture = null;

  /**
   * @param {import("./state.js").Store} store
   * @param {import("./canvas.js").Canvas} canvas
   * @param {import("./edit.js").Editor} editor
   */
  constructor(store, canvas, editor) {
    this.store = store;
    this.canvas = canvas;
    this.editor = editor;
    this.move = eachFrame((event) => this.#gesture?.move(event));
    const root = canvas.root;
    root.addEventListener("pointerdown", (event) => this.#press(event));
    root.addEventListener("pointermove", (event) => this.#follow(event));
    root.addEventListener("pointerup", (event) => this.#release(event));
    root.addEventListener("pointercancel", () => this.cancel());
  }

  /** End a gesture without a change; false if there is none. */
  cancel() {
    if (!this.#gesture) return false;
    this.#gesture = null;
    this.canvas.showMarquee(null);
    this.canvas.showPen([]);
    this.canvas.dragged = null;
    this.store.cancel();
    return true;
  }

  #press(event) {
    if (this.#gesture || event.button > 0 || !event.isPrimary) return;
    event.preventDefault();
    this.canvas.root.focus({ preventScroll: true });
    this.canvas.root.setPointerCapture(event.pointerId);
    this.store.look({ playing: false });
    const start = this.canvas.position(event);
    const tool = this.store.view.tool;
    if (tool !== "select") this.#gesture = this.#penGesture(start, tool === "redraw");
    else if (event.target.dataset.grip) this.#gesture = this.#gripGesture(start, event.target.dataset.grip);
    else this.#gesture = this.#selectGesture(start, event);
  }

  #follow(event) {
    if (!this.#gesture || !event.isPrimary) return;
    this.#gesture.collect?.(event);
    this.move(event);
  }

  #release(event) {
    const gesture = this.#gesture;
    if (!gesture || !event.isPrimary) return;
    gesture.move(event);
    this.#gesture = null;
    gesture.end(event);
  }

  #selectGesture(start, event) {
    const id = event.target.dataset.stroke;
    const { selected } = this.store.view;
    const adds = event.shiftKey || event.ctrlKey || event.metaKey;
    if (!id) {
      const box = this.canvas.boxOf(this.store.selected, this.store.view.frame);
      if (box && !adds && inside(box, start)) return this.#moveGesture(start, null);
      return this.#marqueeGesture(start, adds ? selected : new Set());
    }
    if (adds) {
      const next = new Set(selected);
      if (!next.delete(id)) next.add(id);
      this.store.look({ selected: next });
      return this.#moveGesture(start, null);
    }
    if (!selected.has(id)) this.store.look({ selected: new Set([id]) });
    return this.#moveGesture(start, id);
  }

  /** A gesture that applies a matrix to the selection at this frame. */
  #matrixGesture(matrixOf, label, { threshold, click = () => {} }) {
    const t = this.store.view.frame;
    const ids = this.editor.reachable;
    const before = this.store.doc.drawing;
    const box = this.canvas.boxOf(this.store.selected, t);
    let started = false;
    return {
      move: (event) => {
        const at = this.canvas.position(event);
        if (!started && !threshold.passed(at)) return;
        if (!ids.size || !box) return;
        started = true;
        const matrix = matrixOf(at, event);
        this.canvas.dragged = { box, matrix };
        const drawing = changed(before, ids, (stroke) => transformedAt(stroke, t, matrix));
        this.store.preview({ drawing, source: "hand" });
      },
      end: (event) => {
        this.canvas.dragged = null;
        if (started) this.store.commit(label);
        else click(event);
      },
    };
  }

  #threshold(start) {
    const least = (STARTS * this.canvas.unit) / 1000;
    return { passed: (at) => Math.hypot(at[0] - start[0], at[1] - start[1]) > least };
  }

  #moveGesture(start, id) {
    const matrixOf = (at, event) => {
      let [dx, dy] = [at[0] - start[0], at[1] - start[1]];
      if (event.shiftKey) [dx, dy] = Math.abs(dx) > Math.abs(dy) ? [dx, 0] : [0, dy];
      return shift(dx, dy);
    };
    const click = () => {
      if (id && this.store.view.selected.size > 1) this.store.look({ selected: new Set([id]) });
    };
    return this.#matrixGesture(matrixOf, "Move", { threshold: this.#threshold(start), click });
  }

  #gripGesture(start, grip) {
    const box = this.canvas.boxOf(this.store.selected, this.store.view.frame);
    const threshold = this.#threshold(start);
    if (!box) return this.#marqueeGesture(start, new Set());
    const at = ([sx, sy]) => [box.left + sx * (box.right - box.left), box.top + sy * (box.bottom - box.top)];
    const middle = at([0.5, 0.5]);
    if (grip === "turn") {
      const first = Math.atan2(start[1] - middle[1], start[0] - middle[0]);
      const matrixOf = ([x, y], event) => {
        const angle = Math.atan2(y - middle[1], x - middle[0]) - first;
        return turning(event.shiftKey ? Math.round(angle / TURN_STEP) * TURN_STEP : angle, ...middle);
      };
      return this.#matrixGesture(matrixOf, "Turn", { threshold });
    }
    const anchor = at(ANCHORS[grip]);
    const matrixOf = ([x, y], event) => {
      const about = event.altKey ? middle : anchor;
      const factor = (to, from, origin) => Math.max((to - origin) / (from - origin || 1), LEAST);
      let sx = grip === "n" || grip === "s" ? 1 : factor(x, start[0], about[0]);
      let sy = grip === "e" || grip === "w" ? 1 : factor(y, start[1], about[1]);
      // Corners keep the proportions unless Shift is held: along the diagonal, nearest to the pointer.
      if (grip.length === 2 && !event.shiftKey) {
        const [ux, uy] = [start[0] - about[0], start[1] - about[1]];
        const along = ((x - about[0]) * ux + (y - about[1]) * uy) / (ux * ux + uy * uy || 1);
        sx = sy = Math.max(along, LEAST);
      }
      return scaling(sx, sy, ...about);
    };
    return this.#matrixGesture(matrixOf, "Scale", { threshold });
  }

  #marqueeGesture(start, selected) {
    const t = this.store.view.frame;
    const strokes = (this.store.doc.drawing?.strokes ?? []).filter((stroke) => stroke.visible[t]);
    const boxes = strokes.map((stroke) => [stroke.id, bounds([coefficientsAt(stroke, t)])]);
    const passed = this.#threshold(start).passed;
    this.store.look({ selected });
    return {
      move: (event) => {
        const at = this.canvas.position(event);
        if (!passed(at)) return;
        const box = {
          left: Math.min(start[0], at[0]), right: Math.max(start[0], at[0]),
          top: Math.min(start[1], at[1]), bottom: Math.max(start[1], at[1]),
        };
        this.canvas.showMarquee(box);
        const found = boxes.filter(([, each]) => overlap(box, each)).map(([id]) => id);
        const next = new Set([...selected, ...found]);
        if (!same(next, this.store.view.selected)) this.store.look({ selected: next });
      },
      end: () => this.canvas.showMarquee(null),
    };
  }

  #penGesture(start, redraw) {
    if (redraw && this.store.view.selected.size !== 1) {
      announce("Select the one stroke to redraw first");
      return { move: () => {}, end: () => {} };
    }
    const clip = (value) => Math.min(Math.max(value, -BEYOND), 1 + BEYOND);
    const points = [start.map(clip)];
    const add = (event) => {
      const at = this.canvas.position(event).map(clip);
      const last = points[points.length - 1];
      if (points.length < MOST_POINTS && Math.hypot(at[0] - last[0], at[1] - last[1]) > 0.001) points.push(at);
    };
    return {
      // All positions of the pointer between two frames of the screen, not only the last one.
      collect: (event) => (event.getCoalescedEvents?.() ?? [event]).forEach(add),
      move: () => this.canvas.showPen(points),
      end: () => {
        if (points.length > 2) this.editor.draw(points, { redraw });
        else this.canvas.showPen([]);
      },
    };
  }
}

const inside = (box, [x, y]) => x >= box.left && x <= box.right && y >= box.top && y <= box.bottom;
const overlap = (a, b) => a.left <= b.right && b.left <= a.right && a.top <= b.bottom && b.top <= a.bottom;
const same = (a, b) => a.size === b.size && [...a].every((each) => b.has(each));
