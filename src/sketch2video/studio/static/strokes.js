/** Changes of strokes and drawings. Pure functions: they return new objects and leave their arguments alone. */

import { coefficientsAt, rounded, shift, transformed } from "./curves.js";

let made = 0;

/** A name that no other stroke has, on this page or an earlier one. */
export const newId = () => `s${Date.now().toString(36)}${(made++).toString(36)}`;

/** A drawing without strokes. */
export const emptyDrawing = (frames, fps) => ({ frames, fps, strokes: [] });

/** The stroke with coefficients {x, y} as its key at frame t. */
export function withKey(stroke, t, { x, y }) {
  const others = stroke.keys.filter((key) => key.frame !== t);
  const keys = [...others, { frame: t, x: rounded(x), y: rounded(y) }].sort((a, b) => a.frame - b.frame);
  return { ...stroke, keys };
}

export const withoutKey = (stroke, t) => ({ ...stroke, keys: stroke.keys.filter((key) => key.frame !== t) });

/** The stroke with the key at frame `from` at frame `to` instead; a key that was there is replaced. */
export function keyMoved(stroke, from, to) {
  const key = stroke.keys.find((each) => each.frame === from);
  if (!key || from === to) return stroke;
  return withKey(withoutKey(stroke, from), to, key);
}

/** The stroke after a linear map at frame t, which becomes a key frame. */
export const transformedAt = (stroke, t, matrix) =>
  withKey(stroke, t, transformed(coefficientsAt(stroke, t), matrix));

/** A stroke drawn at frame t of T: it is the same in all frames, and t is its first key frame. */
export function drawnStroke({ x, y }, t, frames) {
  const rows = (row) => Array.from({ length: frames }, () => row);
  const series = { x: rounded(x), y: rounded(y) };
  const visible = new Array(frames).fill(true);
  return { id: newId(), x: rows(series.x), y: rows(series.y), visible, keys: [{ frame: t, ...series }] };
}

/** A copy of a stroke beside it. */
export function duplicate(stroke) {
  const matrix = shift(0.03, 0.03);
  const moved = stroke.x.map((x, t) => transformed({ x, y: stroke.y[t] }, matrix));
  return {
    id: newId(),
    x: moved.map((each) => each.x),
    y: moved.map((each) => each.y),
    visible: stroke.visible,
    keys: stroke.keys.map((key) => ({ frame: key.frame, ...transformed(key, matrix) })),
  };
}

/** The stroke shown or hidden at frame t. */
export const shownAt = (stroke, t, shown) => ({
  ...stroke,
  visible: stroke.visible.map((before, frame) => (frame === t ? shown : before)),
});

/** The drawing with `change` applied to the strokes whose ids are in the set. */
export const changed = (drawing, ids, change) => ({
  ...drawing,
  strokes: drawing.strokes.map((stroke) => (ids.has(stroke.id) ? change(stroke) : stroke)),
});

/** Rows at a time between frames; the nearest frame's if the stroke is not visible on both sides. */
function between(rows, at, visible) {
  const low = Math.floor(at);
  const part = at - low;
  const next = Math.min(low + 1, rows.length - 1);
  const high = rows[next];
  if (part === 0 || !visible[low] || !visible[next]) return rows[Math.round(at)];
  const length = Math.max(rows[low].length, high.length);
  return Array.from({ length }, (_, k) => (1 - part) * (rows[low][k] ?? 0) + part * (high[k] ?? 0));
}

/** The drawing over the same time in another number of frames: rows are interpolated, keys go to the nearest frame. */
export function resampled(drawing, frames) {
  if (frames === drawing.frames) return drawing;
  const scale = frames > 1 ? (drawing.frames - 1) / (frames - 1) : 0;
  const times = Array.from({ length: frames }, (_, t) => t * scale);
  const strokes = drawing.strokes.map((stroke) => {
    const all = stroke.x.map((_, t) => coefficientsAt(stroke, t));
    const bases = { x: all.map((each) => each.x), y: all.map((each) => each.y) };
    const next = {
      id: stroke.id,
      x: times.map((at) => rounded(between(bases.x, at, stroke.visible))),
      y: times.map((at) => rounded(between(bases.y, at, stroke.visible))),
      visible: times.map((at) => stroke.visible[Math.round(at)]),
      keys: [],
    };
    // The base has the keys' effect already: keys of the same coefficients mark the frames and change nothing.
    const marks = new Set(stroke.keys.map((key) => (scale ? Math.round(key.frame / scale) : 0)));
    next.keys = [...marks].sort((a, b) => a - b).map((frame) => ({ frame, x: next.x[frame], y: next.y[frame] }));
    return next;
  });
  return { ...drawing, frames, strokes };
}
