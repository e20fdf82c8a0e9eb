/** What a person can do to the drawing, by pointer, keyboard or button. */

import * as api from "./api.js";
import { coefficientsAt, scaling, shift, strokeNumbers, turning } from "./curves.js";
import { announce } from "./dom.js";
import { shapePoints } from "./shapes.js";
import {
  changed, drawnStroke, duplicate, emptyDrawing, keyMoved, resampled, shownAt, transformedAt, withKey, withoutKey,
} from "./strokes.js";

export const MOST_STROKES = 64;
const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

export class Editor {
  /** @param {import("./state.js").Store} store @param {import("./canvas.js").Canvas} canvas */
  constructor(store, canvas) {
    this.store = store;
    this.canvas = canvas;
  }

  get drawing() {
    return this.store.doc.drawing;
  }

  /** Ids of the selected strokes that this frame shows: what a gesture changes. */
  get reachable() {
    const t = this.store.view.frame;
    return new Set(this.store.selected.filter((stroke) => stroke.visible[t]).map((stroke) => stroke.id));
  }

  #change(ids, change, label, options) {
    if (!ids.size) return;
    this.store.apply({ drawing: changed(this.drawing, ids, change), source: "hand" }, label, options);
  }

  /** Apply a matrix to the selection at this frame; key presses in quick succession are one step of undo. */
  transform(matrix, label) {
    const t = this.store.view.frame;
    const ids = this.reachable;
    if (!ids.size) announce("Select a stroke that this frame shows");
    this.store.look({ playing: false });
    this.#change(ids, (stroke) => transformedAt(stroke, t, matrix), label, { merge: true });
  }

  nudge(dx, dy) {
    this.transform(shift(dx, dy), "Move");
  }

  #centre() {
    const box = this.canvas.boxOf(this.store.selected, this.store.view.frame);
    return box ? [(box.left + box.right) / 2, (box.top + box.bottom) / 2] : [0.5, 0.5];
  }

  scale(factor) {
    this.transform(scaling(factor, factor, ...this.#centre()), "Scale");
  }

  turn(degrees) {
    this.transform(turning((degrees * Math.PI) / 180, ...this.#centre()), "Turn");
  }

  remove() {
    const ids = this.store.view.selected;
    if (!ids.size) return;
    const strokes = this.drawing.strokes.filter((stroke) => !ids.has(stroke.id));
    this.store.apply({ drawing: { ...this.drawing, strokes }, source: "hand" }, "Delete");
    this.store.look({ selected: new Set() });
    announce(`Deleted ${plural(ids.size, "stroke")}`);
  }

  duplicate() {
    const copies = this.store.selected.map(duplicate);
    if (!copies.length || !this.#room(copies.length)) return;
    this.store.apply({ drawing: this.#with(copies), source: "hand" }, "Duplicate");
    this.store.look({ selected: new Set(copies.map((stroke) => stroke.id)) });
    announce(`Duplicated ${plural(copies.length, "stroke")}`);
  }

  #with(strokes) {
    return { ...this.drawing, strokes: [...this.drawing.strokes, ...strokes] };
  }

  #room(count) {
    const fits = (this.drawing?.strokes.length ?? 0) + count <= MOST_STROKES;
    if (!fits) announce(`A drawing has at most ${MOST_STROKES} strokes; delete some first`, { error: true });
    return fits;
  }

  /** Make this frame a key frame of the selection, or an ordinary frame if it is one. */
  toggleKey() {
    const t = this.store.view.frame;
    const selected = this.store.selected;
    if (!selected.length) return announce("Select a stroke first");
    const all = selected.every((stroke) => stroke.keys.some((key) => key.frame === t));
    const change = all
      ? (stroke) => withoutKey(stroke, t)
      : (stroke) => withKey(stroke, t, coefficientsAt(stroke, t));
    this.#change(this.store.view.selected, change, all ? "Remove key frame" : "Add key frame");
    return announce(`Frame ${t + 1} is ${all ? "no longer" : "now"} a key frame`);
  }

  /** Move a key of a stroke to another frame; null removes it. */
  moveKey(id, from, to) {
    const change = (stroke) => (to === null ? withoutKey(stroke, from) : keyMoved(stroke, from, to));
    this.#change(new Set([id]), change, to === null ? "Remove key frame" : "Move key frame");
  }

  /** Show or hide the selection in this frame. */
  toggleVisible() {
    const t = this.store.view.frame;
    const selected = this.store.selected;
    if (!selected.length) return announce("Select a stroke first");
    const shown = !selected.some((stroke) => stroke.visible[t]);
    this.#change(this.store.view.selected, (stroke) => shownAt(stroke, t, shown), shown ? "Show" : "Hide");
    return announce(shown ? `Shown in frame ${t + 1}` : `Hidden in frame ${t + 1}`);
  }

  selectAll() {
    this.store.look({ selected: new Set((this.drawing?.strokes ?? []).map((stroke) => stroke.id)) });
  }

  /** Select the next stroke of this frame, or the one before with step -1. */
  selectNext(step = 1) {
    const t = this.store.view.frame;
    const shown = (this.drawing?.strokes ?? []).filter((stroke) => stroke.visible[t]);
    if (!shown.length) return;
    const last = shown.findLastIndex((stroke) => this.store.view.selected.has(stroke.id));
    const next = last < 0 ? (step > 0 ? 0 : shown.length - 1) : (last + step + shown.length) % shown.length;
    this.store.look({ selected: new Set([shown[next].id]) });
    announce(`Stroke ${this.drawing.strokes.indexOf(shown[next]) + 1}: ${strokeNumbers(shown[next], t)} numbers`);
  }

  /**
   * Fit points of a pen, as a new stroke or as the new shape of the selected one at this frame.
   *
   * @param {number[][]} points (n, 2), frame widths
   * @param {{redraw?: boolean}} options
   */
  async draw(points, { redraw = false } = {}) {
    const { frame: t, selected } = this.store.view;
    const id = redraw ? [...selected][0] : null;
    if (!redraw && !this.#room(1)) return;
    this.canvas.showPen(points, true);
    try {
      const fitted = await api.fitStroke(points);
      const drawing = this.drawing ?? emptyDrawing(this.store.view.emptyFrames, this.store.doc.fps);
      let stroke = drawing.strokes.find((each) => each.id === id);
      const label = stroke ? "Redraw" : "Draw a stroke";
      if (stroke) {
        stroke = shownAt(withKey(stroke, t, fitted), t, true);
        this.store.apply({ drawing: changed(drawing, new Set([id]), () => stroke), source: "hand" }, label);
      } else {
        stroke = drawnStroke(fitted, Math.min(t, drawing.frames - 1), drawing.frames);
        const strokes = [...drawing.strokes, stroke];
        this.store.apply({ drawing: { ...drawing, strokes }, source: "hand" }, label);
      }
      this.store.look({ selected: new Set([stroke.id]) });
      const number = this.drawing.strokes.findIndex((each) => each.id === stroke.id) + 1;
      announce(`Stroke ${number}: ${strokeNumbers(stroke, this.store.view.frame)} numbers, ${fitted.closed ? "closed" : "open"}`);
    } catch (error) {
      announce(error.message, { error: true });
    } finally {
      this.canvas.showPen([]);
    }
  }

  addShape(name) {
    this.store.look({ playing: false });
    return this.draw(shapePoints(name));
  }

  /** Another number of frames for a drawing that is kept. */
  resample(frames) {
    if (!this.drawing || this.drawing.frames === frames) return;
    const view = { frame: Math.min(this.store.view.frame, frames - 1) };
    this.store.look(view);
    this.store.apply({ drawing: resampled(this.drawing, frames), frames }, "Number of frames");
  }

  undo() {
    const label = this.store.undo();
    announce(label ? `Undone: ${label.toLowerCase()}` : "Nothing to undo");
  }

  redo() {
    const label = this.store.redo();
    announce(label ? `Redone: ${label.toLowerCase()}` : "Nothing to redo");
  }
}
