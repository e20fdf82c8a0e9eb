/** Keyboard shortcuts, and their list. */

import { byId, h } from "./dom.js";

const NUDGE = 0.005;
const STRIDE = 0.05;

/** [what is shown, what it does, test of the event, action]; the first that fits is taken. */
function shortcuts({ store, editor, actions }) {
  const is = (...keys) => (event) => keys.includes(event.key) && !event.ctrlKey && !event.metaKey && !event.altKey;
  const control = (key, shift = false) => (event) =>
    (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === key && event.shiftKey === shift;
  const step = (by) => () => store.look({ playing: false, frame: (store.view.frame + by + store.frames) % store.frames });
  const tool = (name) => () => store.look({ tool: name, playing: false });
  const arrows = (event) => {
    const by = event.shiftKey ? STRIDE : NUDGE;
    const [dx, dy] = { ArrowLeft: [-by, 0], ArrowRight: [by, 0], ArrowUp: [0, -by], ArrowDown: [0, by] }[event.key];
    editor.nudge(dx, dy);
  };
  const arrowKeys = is("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown");
  return [
    ["/", "Type the caption", is("/"), () => byId("caption").focus()],
    ["Ctrl Enter", "Generate", (event) => (event.ctrlKey || event.metaKey) && event.key === "Enter", () => actions.generate()],
    ["Space", "Play or pause", is(" "), () => store.look({ playing: !store.view.playing })],
    [", .", "Frame before, next frame", is(","), step(-1)],
    [null, null, is("."), step(1)],
    ["Home End", "First, last frame", is("Home"), () => store.look({ playing: false, frame: 0 })],
    [null, null, is("End"), () => store.look({ playing: false, frame: store.frames - 1 })],
    ["V", "Select and move", is("v", "V"), tool("select")],
    ["P", "Draw a stroke", is("p", "P"), tool("pen")],
    ["R", "Redraw the selected stroke", is("r", "R"), tool("redraw")],
    ["N  Shift N", "Next stroke, stroke before", is("n", "N"), (event) => editor.selectNext(event.shiftKey ? -1 : 1)],
    ["Ctrl A", "Select all", control("a"), () => editor.selectAll()],
    ["← ↑ → ↓", "Move (Shift: farther)", (event) => arrowKeys(event) && store.view.selected.size > 0, arrows],
    ["+ −", "Scale", is("+", "="), () => editor.scale(1.05)],
    [null, null, is("-", "_"), () => editor.scale(1 / 1.05)],
    ["[ ]", "Turn", is("[", "{"), (event) => editor.turn(event.shiftKey ? -45 : -5)],
    [null, null, is("]", "}"), (event) => editor.turn(event.shiftKey ? 45 : 5)],
    ["Ctrl D", "Duplicate", control("d"), () => editor.duplicate()],
    ["Delete", "Delete", is("Delete", "Backspace"), () => editor.remove()],
    ["K", "Key frame, on or off", is("k", "K"), () => editor.toggleKey()],
    ["H", "Show or hide in this frame", is("h", "H"), () => editor.toggleVisible()],
    ["O", "Onion skin", is("o", "O"), () => store.look({ onion: !store.view.onion })],
    ["C", "Compare before and after", is("c", "C"), () => actions.compare()],
    ["L", "Lines over the video", is("l", "L"), () => store.look({ lines: !store.view.lines })],
    ["Ctrl Z", "Undo", control("z"), () => editor.undo()],
    ["Ctrl Shift Z", "Redo", control("z", true), () => editor.redo()],
    [null, null, control("y"), () => editor.redo()],
    ["Esc", "Stop a gesture, select nothing", is("Escape"), () => actions.escape()],
    ["?", "This list", is("?"), () => byId("shortcuts").showModal()],
  ];
}

const TYPED = new Set(["text", "number", "search", "email", "url"]);

/** Whether a key belongs to the element that has the focus. */
function taken(event) {
  const { target } = event;
  const typing = target.tagName === "TEXTAREA" || (target.tagName === "INPUT" && TYPED.has(target.type));
  if (typing) return !((event.ctrlKey || event.metaKey) && event.key === "Enter");
  if (document.querySelector("dialog[open], :popover-open")) return true;
  const own = { INPUT: ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown"], SELECT: null, BUTTON: [" ", "Enter"] };
  if (target.tagName === "SELECT") return !(event.ctrlKey || event.metaKey);
  if (target.type === "checkbox") return event.key === " ";
  return own[target.tagName]?.includes(event.key) ?? false;
}

/** Listen to keys, and write the list of them. */
export function listen(context) {
  const all = shortcuts(context);
  byId("shortcuts-list").append(
    ...all.filter(([keys]) => keys).map(([keys, what]) =>
      h("div", {}, h("dt", {}, ...keys.split(" ").filter(Boolean).map((key) => h("kbd", {}, key))), h("dd", {}, what)),
    ),
  );
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || taken(event)) return;
    const found = all.find(([, , fits]) => fits(event));
    if (!found) return;
    event.preventDefault();
    found[3](event);
  });
}
