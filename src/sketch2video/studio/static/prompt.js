/** The caption, the seed, the model and the settings; the drawing follows what is typed. */

import * as api from "./api.js";
import { announce, byId, h, settled } from "./dom.js";

const TYPING_MS = 60;
const EXAMPLES = ["a red circle moves left to right", "a yellow star goes round in a circle", "a blue triangle keeps growing larger"];
export const MOST_FRAMES = 256;
const SEEDS = 2 ** 32;

const COUNTED = new Set(["num_inference_steps", "top_k"]);
const NAMES = {
  sampler: "Sampler", num_inference_steps: "Steps", guidance_scale: "Guidance by the caption",
  control_guidance_scale: "Guidance by the drawing", frames: "Frames", fps: "Frames a second",
};
const titleOf = (name) => NAMES[name] ?? name.charAt(0).toUpperCase() + name.slice(1).replaceAll("_", " ");

/** Buttons with captions to begin with. */
export const exampleButtons = (onPick) =>
  EXAMPLES.map((text) => h("button", { type: "button", class: "example", onclick: () => onPick(text) }, text));

export class Prompt {
  #request = null;
  #drawn = {}; // the request that the drawing on the page answers
  models = [];

  /**
   * @param {import("./state.js").Store} store
   * @param {{generate: () => void, resample: (frames: number) => void}} actions
   */
  constructor(store, actions) {
    this.store = store;
    this.actions = actions;
    this.typed = settled(() => this.draw(), TYPING_MS);
    this.#listen();
  }

  get model() {
    return this.models.find((each) => each.id === this.store.doc.model);
  }

  #listen() {
    const { store } = this;
    byId("prompt").addEventListener("submit", (event) => {
      event.preventDefault();
      this.actions.generate();
    });
    byId("caption").addEventListener("input", (event) => this.#input({ caption: event.target.value }));
    byId("seed").addEventListener("input", (event) => {
      const seed = Math.floor(Number(event.target.value));
      if (event.target.value !== "" && seed >= 0 && seed < SEEDS) this.#input({ seed });
    });
    byId("seed").addEventListener("blur", () => (byId("seed").value = store.doc.seed));
    byId("dice").addEventListener("click", () => this.#input({ seed: crypto.getRandomValues(new Uint32Array(1))[0] % 10000 }));
    byId("from-caption").addEventListener("click", () => this.redraw());
    byId("model").addEventListener("change", (event) => this.#input({ model: event.target.value, sampling: {} }));
    byId("settings-button").addEventListener("click", () => {
      const open = byId("settings").hidden;
      byId("settings").hidden = !open;
      byId("settings-button").setAttribute("aria-expanded", String(open));
    });
    byId("auto").addEventListener("change", (event) => store.look({ auto: event.target.checked }));
  }

  /** A typed value enters the document at once; a drawing of the caption follows, one by hand stays. */
  #input(patch) {
    this.store.amend(patch);
    if (this.store.doc.source === "caption") this.typed();
  }

  /** Replace the drawing by that of the caption. */
  redraw() {
    this.store.apply({ source: "caption" }, "Draw the caption");
    return this.draw();
  }

  /** Ask for the drawing of the caption; a newer request wins. Resolves with whether the drawing is up to date. */
  async draw() {
    const { caption, seed, frames, fps, source } = this.store.doc;
    const model = this.model;
    this.typed.stop();
    this.#request?.abort();
    if (source !== "caption" || !caption.trim()) return source !== "caption";
    if (!model) return false;
    if (!model.draws) {
      if (this.store.doc.drawing) this.store.amend({ drawing: null });
      return true;
    }
    const request = { model: model.id, caption: caption.trim(), seed, frames, fps, client: api.CLIENT };
    const wanted = JSON.stringify(request);
    if (this.#drawn.request === wanted && this.#drawn.drawing === this.store.doc.drawing) return true;
    const controller = (this.#request = new AbortController());
    this.store.look({ drawing: true });
    try {
      const { drawing } = await api.draw(request, controller.signal);
      if (controller !== this.#request) return false;
      const strokes = drawing.strokes.map((stroke) => ({ ...stroke, keys: stroke.keys ?? [] }));
      const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
      this.store.look({ selected: new Set(), frame: Math.min(this.store.view.frame, drawing.frames - 1) });
      // Undo brings back what the drawing before was made from, too.
      const inputs = { model: model.id, caption, seed, frames, fps };
      const before = this.#drawn.drawing === this.store.doc.drawing ? this.#drawn.inputs : {};
      this.store.apply({ drawing: { ...drawing, strokes } }, "Draw the caption", { merge: true, before });
      this.#drawn = { request: wanted, drawing: this.store.doc.drawing, inputs };
      this.store.look({ playing: !still && drawing.frames > 1 });
      return true;
    } catch (error) {
      if (error.name !== "AbortError") announce(error.message, { error: true });
      return false;
    } finally {
      if (controller === this.#request) {
        this.#request = null;
        this.store.look({ drawing: false });
      }
    }
  }

  /** Sketch and fit a picture or a clip, and show it as the drawing. */
  async open(file) {
    const { doc, view } = this.store;
    this.store.look({ drawing: true, playing: false });
    announce(`Reading ${file.name} …`);
    try {
      const { drawing, numbers } = await api.fitFile(file, { frames: doc.frames ?? view.emptyFrames, fps: doc.fps });
      const strokes = drawing.strokes.map((stroke) => ({ ...stroke, keys: stroke.keys ?? [] }));
      this.store.look({ selected: new Set(), frame: 0 });
      this.store.apply({ drawing: { ...drawing, strokes }, source: "hand", fps: drawing.fps ?? doc.fps }, "Open a picture");
      announce(`${strokes.length} strokes, at most ${Math.max(...numbers)} numbers a frame`);
    } catch (error) {
      announce(error.message, { error: true });
    } finally {
      this.store.look({ drawing: false });
    }
  }

  /** Offer models; the chosen one stays if it is still there. */
  setModels(models) {
    this.models = models;
    const select = byId("model");
    select.replaceChildren(...models.map((model) => h("option", { value: model.id }, model.title ?? model.name)));
    byId("model-field").hidden = !models.length;
    if (models.length && !this.model) this.store.amend({ model: models[0].id, sampling: {} });
    this.showSettings();
  }

  /** Follow the document. */
  show() {
    const { doc, view } = this.store;
    for (const name of ["caption", "seed"]) {
      const input = byId(name);
      if (document.activeElement !== input && input.value !== String(doc[name])) input.value = doc[name];
    }
    if (document.activeElement === byId("caption") && byId("caption").value !== doc.caption) byId("caption").value = doc.caption;
    byId("model").value = doc.model ?? "";
    byId("auto").checked = view.auto;
    byId("from-caption").hidden = doc.source === "caption" || !this.model?.draws || !doc.caption.trim();
    const shape = JSON.stringify([doc.model, doc.frames, doc.fps, doc.sampling, doc.drawing?.frames]);
    if (shape !== this.settingsShown && !byId("settings").contains(document.activeElement)) this.showSettings();
  }

  showSettings() {
    const { doc } = this.store;
    const { model } = this;
    this.settingsShown = JSON.stringify([doc.model, doc.frames, doc.fps, doc.sampling, doc.drawing?.frames]);
    const most = Math.min(model?.longest ?? MOST_FRAMES, MOST_FRAMES);
    const frames = this.#number("frames", doc.drawing?.frames ?? doc.frames ?? model?.frames ?? 16, { min: 2, max: most, step: 1 }, (value) => {
      if (doc.source === "hand") this.actions.resample(value);
      else this.#input({ frames: value });
    });
    const fps = this.#number("fps", doc.fps, { min: 1, max: 60, step: "any" }, (value) => {
      const drawing = this.store.doc.drawing && { ...this.store.doc.drawing, fps: value };
      this.#input({ fps: value, drawing });
    });
    const set = (name, value) => this.#input({ sampling: { ...this.store.doc.sampling, [name]: value } });
    const fields = [frames, fps];
    if (model?.samplers?.length > 1) fields.push(this.#choice("sampler", model.samplers, doc.sampling.sampler ?? model.sampling?.sampler ?? model.samplers[0], set));
    for (const [name, value] of Object.entries(model?.sampling ?? {})) {
      if (name === "sampler" || value === null || typeof value === "object") continue;
      const now = doc.sampling[name] ?? value;
      if (typeof value === "boolean") fields.push(this.#check(name, now, set));
      else if (typeof value === "number") fields.push(this.#number(name, now, { step: COUNTED.has(name) ? 1 : "any", min: 0 }, (next) => set(name, next)));
      else fields.push(this.#text(name, now, set));
    }
    const reset = h("button", { type: "button", class: "quiet", onclick: () => {
      this.#input({ sampling: {}, ...(doc.source === "hand" ? {} : { frames: null }) });
      this.showSettings();
    } }, "Defaults of the model");
    byId("settings").replaceChildren(h("div", { class: "fields" }, ...fields), reset);
  }

  #field(name, input) {
    return h("label", { class: "field" }, h("span", {}, titleOf(name)), input);
  }

  #number(name, value, limits, onValue) {
    const input = h("input", { type: "number", ...limits, required: true });
    input.value = value;
    input.addEventListener("change", () => {
      if (input.checkValidity()) onValue(Number(input.value));
      else announce(`${titleOf(name)}: ${input.validationMessage}`, { error: true });
    });
    return this.#field(name, input);
  }

  #choice(name, values, value, onValue) {
    const select = h("select", { onchange: (event) => onValue(name, event.target.value) }, ...values.map((each) => h("option", { value: each }, each)));
    select.value = value;
    return this.#field(name, select);
  }

  #check(name, value, onValue) {
    const input = h("input", { type: "checkbox", onchange: (event) => onValue(name, event.target.checked) });
    input.checked = value;
    return h("label", { class: "check" }, input, titleOf(name));
  }

  #text(name, value, onValue) {
    const input = h("input", { type: "text", onchange: (event) => onValue(name, event.target.value) });
    input.value = value;
    return this.#field(name, input);
  }
}
