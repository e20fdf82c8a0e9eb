/** The page: builds the parts, connects them by the store, and starts. */

import * as api from "./api.js";
import { Canvas } from "./canvas.js";
import { frameNumbers } from "./curves.js";
import { announce, byId, h, icon, settled } from "./dom.js";
import { Editor } from "./edit.js";
import { EquationView } from "./equation.js";
import { Gallery } from "./gallery.js";
import { keep, kept } from "./keep.js";
import { listen } from "./keys.js";
import { openMenu } from "./menu.js";
import { Painter } from "./paint.js";
import { exampleButtons, Prompt } from "./prompt.js";
import { SHAPE_NAMES } from "./shapes.js";
import { Store } from "./state.js";
import { Timeline } from "./timeline.js";
import { Tools } from "./tools.js";
import { decode, VideoView } from "./video.js";

const EMPTY = { caption: "", seed: 1, model: null, frames: null, fps: 8, sampling: {}, source: "caption", drawing: null };
const VIEW = {
  frame: 0, selected: new Set(), tool: "select", playing: false, onion: false, compare: false, lines: false, auto: true,
  drawing: false, videoFrames: null, emptyFrames: 16,
};
const RETRY_MS = 3000;

const store = new Store(EMPTY, VIEW);
const canvas = new Canvas(byId("canvas"));
const editor = new Editor(store, canvas);
const tools = new Tools(store, canvas, editor);
const timeline = new Timeline(store, editor);
const video = new VideoView(store);
const equation = new EquationView(store);
const prompt = new Prompt(store, { generate, resample: (frames) => editor.resample(frames) });
const painter = new Painter(store, () => prompt.model, showPainting);
const gallery = new Gallery(openItem);
let budget = 300;
let ready = false;

// ---- actions

/** Draw if the caption is new, paint, and put the video into the gallery. */
async function generate() {
  if (!prompt.model) return byId("notice").scrollIntoView({ block: "nearest" });
  if (!store.doc.caption.trim()) {
    byId("caption").focus();
    return announce("Type a caption first");
  }
  if (!(await prompt.draw())) return null;
  return save();
}

/** Paint into the gallery, unless the video on the page is there already. */
async function save() {
  const { after } = painter.state;
  if (painter.current && after.saved) return after;
  const made = await painter.paint({ save: true });
  if (made) await gallery.refresh();
  return made;
}

/** Kinds of downloads: [kind, label, ending]; of the drawing, the kind is a format of the API. */
const VIDEOS = [["mp4", "Video, MP4", ".mp4"], ["gif", "Video, GIF", ".gif"]];
const DRAWINGS = [
  ["svg", "Drawing, animated SVG", ".svg"], ["lottie", "Drawing, Lottie", ".lottie.json"],
  ["html", "Drawing, player (HTML)", ".html"], ["json", "Drawing, JSON", ".json"],
  ["latex", "Equation, LaTeX", ".tex"], ["desmos", "Equation, Desmos lines", ".desmos.txt"],
  ["desmos-page", "Equation, Desmos page", ".desmos.html"], ["geogebra", "Equation, GeoGebra", ".ggb"],
  ["clip-json", "Equation of the clip, JSON", ".clip.json"],
  ["plotter-svg", "This frame for plotters, SVG", ".plot.svg", true], ["gcode", "This frame for plotters, G-code", ".gcode", true],
];

async function download(kind, ending) {
  byId("download-menu").hidePopover();
  const name = `${store.doc.caption.trim().toLowerCase().replace(/[^a-z0-9]+/g, "-").slice(0, 48) || "drawing"}${ending}`;
  const drawn = DRAWINGS.find(([format]) => format === kind);
  if (drawn) return equation.download(kind, name, drawn[3]);
  const made = await save();
  if (!made?.saved) return null;
  const link = h("a", { href: api.gallery.file(made.saved, kind), download: name });
  document.body.append(link);
  link.click();
  return link.remove();
}

/** Bring something of the gallery back to the canvas. */
async function openItem(item, sheet) {
  const { document: made } = item;
  if (!made) return announce("There is no record of what this video was made from", { error: true });
  const known = prompt.models.some((model) => model.id === made.model);
  const drawing = made.drawing && { ...made.drawing, strokes: made.drawing.strokes.map((s) => ({ ...s, keys: s.keys ?? [] })) };
  const sampling = Object.fromEntries(Object.entries(made.sampling ?? {}).filter(([, value]) => value !== null));
  const { caption, seed, fps, frames } = made;
  const after = sheet && { ...(await decode(sheet)), saved: item.key, seed };
  store.look({ selected: new Set(), frame: 0, playing: false });
  const patch = { caption, seed, fps, frames, sampling, drawing, source: drawing ? "hand" : "caption" };
  store.apply(known ? { ...patch, model: made.model } : patch, "Open from the gallery");
  if (after) painter.adopt(after);
  scrollTo({ top: 0, behavior: "smooth" });
  return announce(known ? "Opened" : "Opened. Its model is not here, so that another one would paint it");
}

const actions = {
  generate,
  compare: () => painter.state.before && store.look({ compare: !store.view.compare }),
  escape: () => {
    if (tools.cancel()) return;
    if (store.view.tool !== "select") store.look({ tool: "select" });
    else store.look({ selected: new Set() });
  },
};

// ---- parts of the page that show the state

function buildTools() {
  const tool = (name, glyph, label, key) =>
    h("button", { type: "button", class: "icon-button tool", "data-tool": name, "aria-label": label, title: `${label} (${key})`, onclick: () => store.look({ tool: name, playing: false }) }, icon(glyph));
  const action = (id, glyph, label, key, onclick) =>
    h("button", { type: "button", class: "icon-button", id, "aria-label": label, title: key ? `${label} (${key})` : label, onclick }, icon(glyph));
  const shapes = h("div", { class: "menu", id: "shape-menu", popover: "auto" },
    ...SHAPE_NAMES.map((name) => h("button", { type: "button", class: "menu-item", onclick: () => {
      byId("shape-menu").hidePopover();
      editor.addShape(name);
    } }, name.charAt(0).toUpperCase() + name.slice(1))));
  const add = action("add-shape", "shape", "Add a shape", null, null);
  byId("tools").append(
    tool("select", "select", "Select and move", "V"), tool("pen", "pen", "Draw a stroke", "P"), tool("redraw", "redraw", "Redraw the selected stroke", "R"), add,
    h("span", { class: "rule" }),
    action("duplicate", "duplicate", "Duplicate", "Ctrl D", () => editor.duplicate()),
    action("delete", "delete", "Delete", "Delete", () => editor.remove()),
    h("span", { class: "rule" }),
    action("undo", "undo", "Undo", "Ctrl Z", () => editor.undo()),
    action("redo", "redo", "Redo", "Ctrl Shift Z", () => editor.redo()),
  );
  byId("stage").append(shapes);
  openMenu(add, shapes);
}

function buildVideoActions() {
  const action = (id, glyph, text, title, onclick) => h("button", { type: "button", class: "quiet", id, title, onclick }, icon(glyph), text);
  const menu = h("div", { class: "menu", id: "download-menu", popover: "auto" },
    ...[...VIDEOS, ...DRAWINGS].map(([kind, label, ending]) => h("button", { type: "button", class: "menu-item", "data-kind": kind, onclick: () => download(kind, ending) }, label)));
  const button = action("download-button", "download", "Download", "Download", null);
  byId("video-actions").append(
    action("compare-button", "compare", "Compare", "Before and after (C)", actions.compare),
    action("lines-button", "lines", "Lines", "Lines over the video (L)", () => store.look({ lines: !store.view.lines })),
    h("span", { class: "spring" }),
    action("save-button", "keep", "Save", "Save to the gallery", save),
    button, menu);
  openMenu(button, menu);
}

function showTools() {
  const { view, undoLabel, redoLabel } = store;
  for (const button of document.querySelectorAll("[data-tool]")) button.setAttribute("aria-pressed", button.dataset.tool === view.tool);
  byId("canvas").dataset.mode = view.tool;
  const any = view.selected.size > 0;
  byId("delete").disabled = byId("duplicate").disabled = !any;
  document.querySelector('[data-tool="redraw"]').disabled = view.selected.size !== 1;
  for (const [id, label, verb] of [["undo", undoLabel, "Undo"], ["redo", redoLabel, "Redo"]]) {
    byId(id).disabled = !label;
    byId(id).title = label ? `${verb}: ${label.toLowerCase()}` : verb;
  }
}

function showBudget() {
  const { doc, view } = store;
  const count = doc.drawing ? frameNumbers(doc.drawing, view.frame) : 0;
  const box = byId("budget");
  if (!box.firstChild) box.append(h("span", {}), h("span", { class: "meter", "aria-hidden": "true" }, h("span")));
  const [text, meter] = box.children;
  text.textContent = `${count} of ${budget} numbers`;
  meter.firstChild.style.width = `${Math.min(100, (100 * count) / budget)}%`;
  box.classList.toggle("over", count >= budget);
}

function showEmpty() {
  const { doc, view } = store;
  const { model } = prompt;
  const nothing = !doc.drawing?.strokes.length;
  const box = byId("canvas-empty");
  box.hidden = !nothing || view.tool === "pen" || view.drawing;
  byId("stage").classList.toggle("busy", view.drawing);
  const kind = `${Boolean(model)} ${model?.draws} ${doc.caption.trim() === ""}`;
  if (box.dataset.kind === kind) return;
  box.dataset.kind = kind;
  const pen = h("button", { type: "button", class: "example", onclick: () => store.look({ tool: "pen" }) }, icon("pen"), "Draw with the pen");
  const file = h("button", { type: "button", class: "example", onclick: () => byId("file").click() }, icon("picture"), "Open a picture or clip");
  const pick = (text) => {
    byId("caption").value = text;
    store.amend({ caption: text });
    generate();
  };
  if (model && !model.draws) box.replaceChildren(h("p", {}, "This model paints from the caption alone. A drawing still has its equation."), h("div", { class: "choices" }, pen, file));
  else if (model) box.replaceChildren(h("p", {}, "Type what moves, or begin with one of these."), h("div", { class: "choices" }, ...exampleButtons(pick)), h("div", { class: "choices" }, pen, file));
  else box.replaceChildren(h("p", {}, "Draw a stroke, or open a picture."), h("div", { class: "choices" }, pen, file));
}

function showPainting(state) {
  const { busy, progress, error, before, after } = state;
  const known = progress && progress.steps > 0;
  const bar = byId("progress");
  byId("painting").hidden = !busy;
  if (known) bar.value = progress.step / progress.steps;
  else bar.removeAttribute("value");
  byId("progress-text").textContent = known ? `${progress.stage ?? "painting"} ${progress.step} / ${progress.steps}` : "waiting";
  store.look({ videoFrames: after?.count ?? null, ...(before ? {} : { compare: false }) });
  video.set({ before, after });
  byId("video-facts").textContent = after && !error ? [`seed ${after.seed}`, after.seconds ? `${after.seconds.toFixed(2)} s` : null, after.saved ? "saved" : null].filter(Boolean).join(" · ") : "";
  const box = byId("video-empty");
  box.hidden = !error && (Boolean(after) || busy);
  box.classList.toggle("failed", Boolean(error));
  box.setAttribute("role", error ? "alert" : "presentation");
  if (error) box.replaceChildren(h("p", {}, error), h("button", { type: "button", class: "example", onclick: () => painter.paint() }, "Try again"));
  else if (!prompt.model) box.replaceChildren(h("p", {}, ready ? "A trained model paints the drawing here." : "Loading the models …"));
  else if (store.doc.drawing?.strokes.length && !store.doc.caption.trim()) box.replaceChildren(h("p", {}, "Type a caption: it says what the drawing shows, and in which colours."));
  else box.replaceChildren(h("p", {}, "The video appears here."));
  byId("repaint").hidden = busy || !after || !painter.possible || painter.current || store.view.auto;
  byId("compare-button").disabled = !before;
  byId("lines-button").disabled = !after;
  byId("save-button").disabled = !painter.possible || busy;
  byId("download-button").disabled = !store.doc.drawing && !after;
  for (const [kind] of VIDEOS) document.querySelector(`[data-kind="${kind}"]`).disabled = !painter.possible;
  for (const [kind] of DRAWINGS) document.querySelector(`[data-kind="${kind}"]`).disabled = !store.doc.drawing?.strokes.length;
}

function showSelection() {
  const { doc, view } = store;
  const { dragged } = canvas;
  const box = dragged?.box ?? (view.selected.size && !view.playing ? canvas.boxOf(store.selected, view.frame) : null);
  canvas.showHandles(doc.drawing && view.tool !== "pen" ? box : null, dragged?.matrix);
}

function keepNow() {
  const { before, after } = painter.state;
  const plain = (each) => each && { sheet: each.sheet, saved: each.saved, seconds: each.seconds, seed: each.seed };
  const { frame, onion, lines, compare, auto } = store.view;
  keep({ doc: store.doc, view: { frame, onion, lines, compare, auto }, selected: [...store.view.selected], current: painter.current, before: plain(before), after: plain(after) });
}

const keepSoon = settled(keepNow, 250);

function show(what) {
  const { doc, view } = store;
  const names = what.names ?? new Set();
  if (doc.drawing && view.frame >= doc.drawing.frames) return store.look({ frame: doc.drawing.frames - 1 });
  canvas.show(doc.drawing, view.frame, view.selected);
  if (what.doc || names.has("frame") || names.has("onion") || names.has("playing")) canvas.showOnion(view.onion && !view.playing ? doc.drawing : null, view.frame);
  showSelection();
  timeline.show(what);
  if (!view.playing || what.doc || names.has("playing")) equation.follow();
  showBudget();
  if (names.has("frame") || names.has("lines") || names.has("compare") || what.doc) video.draw();
  if (what.doc || names.has("tool") || names.has("drawing")) showEmpty();
  if (what.doc || names.has("selected") || names.has("tool")) showTools();
  for (const [id, name] of [["compare-button", "compare"], ["lines-button", "lines"]]) byId(id).setAttribute("aria-pressed", view[name]);
  if (what.committed || names.has("auto")) {
    prompt.show();
    showPainting(painter.state);
  }
  if (what.committed) {
    if (ready && view.auto && (doc.source === "hand" ? painter.state.after || doc.drawing : doc.drawing || prompt.model?.draws === false)) painter.soon();
  } else if (what.doc && view.auto) painter.live();
  if (ready && !store.inGesture) keepSoon();
  return undefined;
}

// ---- files that are dropped, theme, dialogs

function listenToPage() {
  const dropping = byId("dropping");
  const hasFile = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    dropping.hidden = false;
  });
  addEventListener("dragleave", (event) => event.relatedTarget ?? (dropping.hidden = true));
  addEventListener("drop", (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    dropping.hidden = true;
    if (event.dataTransfer.files[0]) prompt.open(event.dataTransfer.files[0]);
  });
  byId("file-button").addEventListener("click", () => byId("file").click());
  byId("file").addEventListener("change", (event) => {
    if (event.target.files[0]) prompt.open(event.target.files[0]);
    event.target.value = "";
  });
  addEventListener("pagehide", () => ready && keepNow());
  byId("repaint").addEventListener("click", () => painter.paint());
  byId("stop").addEventListener("click", () => painter.cancel());
  byId("help").addEventListener("click", () => byId("shortcuts").showModal());
  byId("shortcuts-close").addEventListener("click", () => byId("shortcuts").close());
  byId("theme").addEventListener("click", () => {
    const dark = document.documentElement.dataset.theme ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    document.documentElement.dataset.theme = dark ? "light" : "dark";
    localStorage.setItem("theme", document.documentElement.dataset.theme);
  });
  new ResizeObserver(() => showSelection()).observe(byId("canvas"));
}

/** A line of the server as a sentence; what stands between backticks is code. */
function withCode(text) {
  const sentence = text.charAt(0).toUpperCase() + text.slice(1).replace(/\.$/, "");
  return sentence.split("`").map((part, i) => (i % 2 ? h("code", {}, part) : part));
}

async function loadModels() {
  const notice = byId("notice");
  try {
    const { models, help, budget: most } = await api.models();
    budget = most ?? budget;
    const before = prompt.model;
    prompt.setModels(models);
    notice.hidden = models.length > 0;
    if (!models.length) notice.replaceChildren(h("p", {}, ...withCode(help ?? "there is no trained model"), ". Drawing and equations work without one."));
    if (prompt.model && !before) store.look({ emptyFrames: prompt.model.frames ?? 16 });
    byId("generate").disabled = !models.length;
    return true;
  } catch (error) {
    notice.hidden = false;
    notice.replaceChildren(h("strong", {}, error.message));
    setTimeout(loadModels, RETRY_MS);
    return false;
  }
}

async function start() {
  const theme = localStorage.getItem("theme");
  if (theme) document.documentElement.dataset.theme = theme;
  buildTools();
  buildVideoActions();
  listenToPage();
  listen({ store, editor, actions });
  store.subscribe(show);
  const last = await kept();
  if (last) {
    store.look({ ...last.view, selected: new Set(last.selected) });
    store.amend({ ...EMPTY, ...last.doc });
  }
  await Promise.all([loadModels(), gallery.refresh()]);
  for (const name of ["before", "after"]) {
    const { sheet, ...facts } = last?.[name] ?? {};
    const decoded = sheet && (await decode(sheet).catch(() => null));
    if (decoded) last[`${name}Video`] = { ...decoded, ...facts };
  }
  if (last?.afterVideo) painter.adopt(last.afterVideo, { before: last.beforeVideo, current: last.current });
  ready = true;
  show({ doc: true, committed: true, names: new Set(["playing", "tool", "selected", "drawing", "auto"]) });
  document.documentElement.dataset.ready = "true";
  if (!last) byId("caption").focus();
}

start();
