/** The timeline: play, frames as small pictures, key frames of the selection, and the list of strokes. */

import { strokePath } from "./canvas.js";
import { strokeNumbers } from "./curves.js";
import { byId, h, icon, settled, svg, unseen } from "./dom.js";

const LEAST_CELL = 22; // px of a frame's picture
const THUMBS_AFTER = 160; // ms without a change until the small pictures follow

const button = (name, label, onclick, title = label) =>
  h("button", { type: "button", class: "icon-button", "aria-label": label, title, onclick }, icon(name));

export class Timeline {
  #thumbs = [];
  #shown = [];

  /** @param {import("./state.js").Store} store @param {import("./edit.js").Editor} editor */
  constructor(store, editor) {
    this.store = store;
    this.editor = editor;
    this.root = byId("timeline");
    this.#build();
    this.later = settled(() => this.#showThumbs(), THUMBS_AFTER);
    this.observer = new ResizeObserver(() => this.#layOut());
    this.observer.observe(this.strip);
    this.#play();
  }

  #build() {
    const { store, editor } = this;
    const step = (by) => () => store.look({ playing: false, frame: (store.view.frame + by + store.frames) % store.frames });
    this.playButton = button("play", "Play", () => store.look({ playing: !store.view.playing }), "Play (Space)");
    this.label = h("span", { class: "frame-label" });
    this.key = button("key", "Key frame", () => editor.toggleKey(), "Key frame of the selection (K)");
    this.eye = button("eye", "Show in this frame", () => editor.toggleVisible(), "Show or hide in this frame (H)");
    this.onion = button("onion", "Onion skin", () => store.look({ onion: !store.view.onion }), "Onion skin (O)");
    this.slider = h("input", { type: "range", min: 0, max: 0, step: 1, value: 0, "aria-label": "Frame", class: "scrub" });
    this.slider.addEventListener("input", () => store.look({ playing: false, frame: Number(this.slider.value) }));
    this.strip = h("div", { class: "strip" });
    this.keys = h("div", { class: "keys" });
    this.list = h("div", { class: "strokes-list", role: "group", "aria-label": "Strokes" });
    this.head = h("span", { class: "playhead", "aria-hidden": "true" });
    byId("transport").append(
      this.playButton, button("back", "Frame before", step(-1), "Frame before (,)"),
      button("forward", "Next frame", step(1), "Next frame (.)"), this.label,
      h("span", { class: "spring" }), this.key, this.eye, this.onion,
    );
    this.root.append(
      h("div", { class: "film" }, this.strip, this.head, this.slider),
      this.keys,
      this.list,
    );
  }

  /** Follow the store. */
  show({ doc = false, committed = false, names = new Set() }) {
    const { view, frames } = this.store;
    this.slider.max = frames - 1;
    this.slider.value = view.frame;
    this.slider.setAttribute("aria-valuetext", `Frame ${view.frame + 1} of ${frames}`);
    this.label.textContent = `${view.frame + 1} / ${frames}`;
    this.head.style.left = `${(100 * view.frame) / frames}%`;
    this.head.style.width = `${100 / frames}%`;
    if (names.has("playing")) {
      this.playButton.replaceChildren(icon(view.playing ? "pause" : "play"));
      this.playButton.setAttribute("aria-label", view.playing ? "Pause" : "Play");
    }
    this.onion.setAttribute("aria-pressed", view.onion);
    this.#showMarks();
    if (doc) {
      this.#layOut();
      this.later();
    }
    if (committed || names.has("selected")) this.#showKeys();
    if (committed || names.has("selected") || (names.has("frame") && !view.playing) || names.has("playing")) this.#showList();
  }

  #showMarks() {
    const { selected, view } = this.store;
    const keyed = selected.length > 0 && selected.every((s) => s.keys.some((key) => key.frame === view.frame));
    const shown = selected.some((stroke) => stroke.visible[view.frame]);
    for (const each of [this.key, this.eye]) each.disabled = !selected.length;
    this.key.setAttribute("aria-pressed", keyed);
    this.key.classList.toggle("keyed", keyed);
    this.eye.setAttribute("aria-pressed", shown);
    if (this.eye.dataset.shown !== String(shown)) {
      this.eye.dataset.shown = shown;
      this.eye.replaceChildren(icon(shown || !selected.length ? "eye" : "hidden"));
    }
  }

  /** Small pictures: of every frame, or of every n-th one where there is no room; a picture is as wide as its frames. */
  #layOut() {
    const { frames } = this.store;
    const width = this.strip.clientWidth || 400;
    const step = Math.ceil((frames * LEAST_CELL) / width);
    if (this.#shown.frames === frames && this.#shown.step === step) return;
    this.#shown = Object.assign([], { frames, step });
    this.#thumbs = Array.from({ length: Math.ceil(frames / step) }, (_, i) => {
      const path = svg("path");
      const cell = svg("svg", { viewBox: "0 0 1000 1000", "aria-hidden": "true" }, path);
      cell.style.flexGrow = Math.min(step, frames - i * step);
      return { frame: i * step, path, cell };
    });
    this.strip.replaceChildren(...this.#thumbs.map(({ cell }) => cell));
    this.#showThumbs();
  }

  #showThumbs() {
    const drawing = this.store.doc.drawing;
    this.#thumbs.forEach(({ frame, path }, i) => {
      if (this.#shown[i] === drawing) return;
      this.#shown[i] = drawing;
      const shown = (drawing?.strokes ?? []).filter((stroke) => stroke.visible[frame]);
      path.setAttribute("d", shown.map((stroke) => strokePath(stroke, frame)).join(""));
    });
  }

  /** Marks of the key frames of the selected strokes: go there, drag along, or delete. */
  #showKeys() {
    const { selected, doc, frames } = this.store;
    const focused = document.activeElement?.dataset?.key;
    const marks = selected.flatMap((stroke) => {
      const number = doc.drawing.strokes.indexOf(stroke) + 1;
      return stroke.keys.map((key) => this.#mark(stroke, number, key.frame, frames));
    });
    this.keys.replaceChildren(...marks);
    if (focused) this.keys.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
    this.keys.classList.toggle("none", !marks.length);
  }

  #mark(stroke, number, frame, frames) {
    const at = (value) => `${(100 * (value + 0.5)) / frames}%`;
    const mark = h("button", {
      type: "button", class: "key-mark", "data-key": `${stroke.id}:${frame}`,
      "aria-label": `Key frame ${frame + 1} of stroke ${number}`, title: `Key frame ${frame + 1} of stroke ${number}; drag to move, Delete to remove`,
    }, icon("key"));
    mark.style.left = at(frame);
    let target = frame;
    let dragging = false;
    mark.addEventListener("pointerdown", (event) => {
      dragging = true;
      mark.setPointerCapture(event.pointerId);
    });
    mark.addEventListener("pointermove", (event) => {
      if (!dragging) return;
      const box = this.keys.getBoundingClientRect();
      target = Math.min(frames - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * frames)));
      mark.style.left = at(target);
      this.store.look({ playing: false, frame: target });
    });
    mark.addEventListener("pointerup", () => {
      dragging = false;
      if (target !== frame) this.editor.moveKey(stroke.id, frame, target);
    });
    mark.addEventListener("click", () => this.store.look({ playing: false, frame: target }));
    mark.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (event.key === "Delete" || event.key === "Backspace") {
        this.editor.moveKey(stroke.id, frame, null);
        this.slider.focus();
      } else if (by && frame + by >= 0 && frame + by < frames) {
        this.editor.moveKey(stroke.id, frame, frame + by);
        this.store.look({ playing: false, frame: frame + by });
        this.keys.querySelector(`[data-key="${CSS.escape(`${stroke.id}:${frame + by}`)}"]`)?.focus();
      } else return;
      event.preventDefault();
      event.stopPropagation();
    });
    return mark;
  }

  #showList() {
    const { doc, view } = this.store;
    const strokes = doc.drawing?.strokes ?? [];
    const focused = document.activeElement?.dataset?.row;
    this.list.replaceChildren(
      ...strokes.map((stroke, i) => {
        const shown = stroke.visible[view.frame];
        const numbers = strokeNumbers(stroke, view.frame);
        const toggle = (event) => {
          const next = new Set(event.shiftKey || event.ctrlKey || event.metaKey ? view.selected : []);
          if (view.selected.has(stroke.id)) next.delete(stroke.id);
          else next.add(stroke.id);
          this.store.look({ selected: next, playing: false });
        };
        const pressed = String(view.selected.has(stroke.id));
        return h("button", {
          type: "button", class: `chip${shown ? "" : " hidden-here"}`, "data-row": stroke.id,
          "aria-pressed": pressed, title: `Stroke ${i + 1}: ${numbers} numbers`, onclick: toggle,
        }, unseen("Stroke "), String(i + 1), h("span", {}, String(numbers)), unseen(` numbers${shown ? "" : ", hidden in this frame"}`));
      }),
    );
    if (focused) this.list.querySelector(`[data-row="${CSS.escape(focused)}"]`)?.focus();
  }

  /** Advance the frame while playing, at the frame rate of the document. */
  #play() {
    let since = 0;
    const tick = (now) => {
      const { view, doc, frames } = this.store;
      if (view.playing && frames > 1) {
        if (!since) since = now - (1000 * view.frame) / doc.fps;
        const frame = Math.floor(((now - since) / 1000) * doc.fps) % frames;
        if (frame !== view.frame) this.store.look({ frame });
      } else since = 0;
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }
}
