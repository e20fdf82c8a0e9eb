/**
 * The document, its history, and the view of it.
 *
 * The document is immutable: caption, seed, model, frames, fps, sampling, source ("caption" or "hand") and drawing. A
 * change is a new document, and undo and redo go through the old ones. A gesture shows documents with `preview` and ends
 * with `commit` or `cancel`. The view (frame, selection, tool, ...) has no history.
 */

const LONGEST_HISTORY = 200;
const MERGE_MS = 900;

export class Store {
  #past = [];
  #future = [];
  #before = null; // the document at the start of the gesture
  #listeners = [];
  #merged = { label: null, at: 0 };

  constructor(doc, view) {
    this.doc = doc;
    this.view = view;
  }

  /** Call `listener({doc, view, committed})` after every change; the flags say what has changed. */
  subscribe(listener) {
    this.#listeners.push(listener);
  }

  #tell(what) {
    for (const listener of this.#listeners) listener(what);
  }

  get inGesture() {
    return this.#before !== null;
  }

  get undoLabel() {
    return this.#past.at(-1)?.label ?? null;
  }

  get redoLabel() {
    return this.#future.at(-1)?.label ?? null;
  }

  /** Change the view. */
  look(patch) {
    const changes = Object.entries(patch).filter(([name, value]) => this.view[name] !== value);
    if (!changes.length) return;
    this.view = { ...this.view, ...patch };
    this.#tell({ view: true, names: new Set(changes.map(([name]) => name)) });
  }

  /** Show a document that is not in the history yet. */
  preview(patch) {
    this.#before ??= this.doc;
    this.doc = { ...this.doc, ...patch };
    this.#tell({ doc: true, committed: false });
  }

  /** Enter what was previewed into the history. */
  commit(label) {
    if (!this.inGesture) return;
    const [before, after] = [this.#before, this.doc];
    this.#before = null;
    this.doc = before;
    this.#enter(after, label, false);
  }

  /** Go back to the document before the gesture. */
  cancel() {
    if (!this.inGesture) return;
    this.doc = this.#before;
    this.#before = null;
    this.#tell({ doc: true, committed: true });
  }

  /**
   * Change the document.
   *
   * @param {object} patch attributes of the document that change
   * @param {string} label what undo will name
   * @param {{merge?: boolean, before?: object}} options merge: one entry for several changes of the same label in quick
   *   succession; before: attributes that undo brings back, if they were amended before this change
   */
  apply(patch, label, { merge = false, before = {} } = {}) {
    this.cancel();
    const doc = { ...this.doc, ...patch };
    this.doc = { ...this.doc, ...before };
    this.#enter(doc, label, merge);
  }

  /** Change the document without an entry in the history. */
  amend(patch) {
    this.doc = { ...this.doc, ...patch };
    this.#tell({ doc: true, committed: true });
  }

  #enter(doc, label, merge) {
    const now = performance.now();
    const same = merge && this.#merged.label === label && now - this.#merged.at < MERGE_MS && this.#past.length;
    if (!same) {
      this.#past.push({ doc: this.doc, label, selected: this.view.selected });
      if (this.#past.length > LONGEST_HISTORY) this.#past.shift();
    }
    this.#merged = { label: merge ? label : null, at: now };
    this.#future = [];
    this.doc = doc;
    this.#tell({ doc: true, committed: true });
  }

  undo() {
    return this.#travel(this.#past, this.#future);
  }

  redo() {
    return this.#travel(this.#future, this.#past);
  }

  #travel(from, to) {
    this.cancel();
    const entry = from.pop();
    if (!entry) return null;
    to.push({ doc: this.doc, label: entry.label, selected: this.view.selected });
    this.#merged = { label: null, at: 0 };
    this.doc = entry.doc;
    this.view = { ...this.view, selected: entry.selected };
    this.#tell({ doc: true, committed: true });
    return entry.label;
  }

  /** Number of frames of what is shown. */
  get frames() {
    return this.doc.drawing?.frames ?? this.view.videoFrames ?? this.view.emptyFrames;
  }

  /** The strokes that are selected. */
  get selected() {
    return (this.doc.drawing?.strokes ?? []).filter((stroke) => this.view.selected.has(stroke.id));
  }
}
