/**
 * Strokes as cosine series: x(u) = sum_k a_k cos(k pi u), u in [0, 1], in frame widths, x right, y down.
 *
 * Pure functions. A stroke is {id, x: T rows, y: T rows, visible: T, keys: [{frame, x, y}]}; a row may leave out trailing
 * zeros. At a key frame the stroke is exactly the key. Elsewhere it is the base plus the difference key - base, which is
 * interpolated linearly between neighbouring key frames and constant before the first and after the last.
 */

/** Rows a + scale * (b - c), each of any length. */
function shifted(a, b, c, scale) {
  const length = Math.max(a.length, b.length, c.length);
  const out = new Array(length);
  for (let k = 0; k < length; k++) out[k] = (a[k] ?? 0) + scale * ((b[k] ?? 0) - (c[k] ?? 0));
  return out;
}

/** The coefficients {x, y} of a stroke at frame t. */
export function coefficientsAt(stroke, t) {
  const base = { x: stroke.x[t], y: stroke.y[t] };
  const keys = stroke.keys;
  if (!keys.length) return base;
  let right = keys.findIndex((key) => key.frame >= t);
  if (right >= 0 && keys[right].frame === t) return { x: keys[right].x, y: keys[right].y };
  if (right < 0) right = keys.length;
  const after = keys[Math.min(right, keys.length - 1)];
  const before = keys[Math.max(right - 1, 0)];
  const part = after === before ? 1 : (t - before.frame) / (after.frame - before.frame);
  const moved = (axis) => {
    const first = shifted(base[axis], before[axis], stroke[axis][before.frame], 1 - part);
    return shifted(first, after[axis], stroke[axis][after.frame], part);
  };
  return { x: moved("x"), y: moved("y") };
}

const tables = new Map();

/** cos(k pi u) and its derivative's sine part at n + 1 positions from 0 to 1, for k < K, row by row. */
function table(n, harmonics) {
  const name = n * 1024 + harmonics;
  let found = tables.get(name);
  if (!found) {
    const cos = new Float64Array((n + 1) * harmonics);
    const slope = new Float64Array((n + 1) * harmonics);
    for (let j = 0; j <= n; j++) {
      for (let k = 0; k < harmonics; k++) {
        cos[j * harmonics + k] = Math.cos((k * Math.PI * j) / n);
        slope[j * harmonics + k] = -k * Math.PI * Math.sin((k * Math.PI * j) / n);
      }
    }
    tables.set(name, (found = { cos, slope }));
  }
  return found;
}

function sums(row, values, n, harmonics, out) {
  for (let j = 0; j <= n; j++) {
    let sum = 0;
    for (let k = 0; k < row.length; k++) sum += row[k] * values[j * harmonics + k];
    out[j] = sum;
  }
  return out;
}

/** Points at n + 1 pen positions from u = 0 to u = 1: {x, y}, Float64Array each. */
export function points({ x, y }, n) {
  const harmonics = Math.max(x.length, y.length, 1);
  const { cos } = table(n, harmonics);
  const axis = (row) => sums(row, cos, n, harmonics, new Float64Array(n + 1));
  return { x: axis(x), y: axis(y) };
}

/**
 * A stroke as an SVG path in units of 1 / scale frame widths: cubic Béziers with the ends and end tangents of the series,
 * two a harmonic.
 */
export function pathOf({ x, y }, scale, detail = 2) {
  const harmonics = Math.max(x.length, y.length, 1);
  const n = Math.max(2, Math.round(detail * harmonics));
  const { cos, slope } = table(n, harmonics);
  const room = () => new Float64Array(n + 1);
  const px = sums(x, cos, n, harmonics, room());
  const py = sums(y, cos, n, harmonics, room());
  const vx = sums(x, slope, n, harmonics, room());
  const vy = sums(y, slope, n, harmonics, room());
  const third = 1 / (3 * n);
  const at = (value) => Math.round(value * scale * 100) / 100;
  let path = `M${at(px[0])} ${at(py[0])}`;
  for (let j = 0; j < n; j++) {
    path +=
      `C${at(px[j] + vx[j] * third)} ${at(py[j] + vy[j] * third)} ` +
      `${at(px[j + 1] - vx[j + 1] * third)} ${at(py[j + 1] - vy[j + 1] * third)} ${at(px[j + 1])} ${at(py[j + 1])}`;
  }
  return path;
}

/** The smallest box {left, top, right, bottom} around strokes, or null if there are none. */
export function bounds(series) {
  let box = null;
  for (const each of series) {
    const { x, y } = points(each, Math.max(48, 4 * Math.max(each.x.length, each.y.length)));
    for (let j = 0; j < x.length; j++) {
      box ??= { left: x[j], right: x[j], top: y[j], bottom: y[j] };
      box.left = Math.min(box.left, x[j]);
      box.right = Math.max(box.right, x[j]);
      box.top = Math.min(box.top, y[j]);
      box.bottom = Math.max(box.bottom, y[j]);
    }
  }
  return box;
}

const DIGITS = 1e6; // A millionth of a frame width; rounding ends tails like 1e-17 that would count as numbers.

/** Coefficients rounded to a millionth of a frame width, without trailing zeros. */
export function rounded(row) {
  const out = row.map((value) => Math.round(value * DIGITS) / DIGITS || 0);
  while (out.length > 1 && out[out.length - 1] === 0) out.pop();
  return out;
}

/**
 * Coefficients after x' = a x + c y + e, y' = b x + d y + f (an SVG matrix). The series is linear in its coefficients, and
 * only the mean position, k = 0, takes the shift.
 */
export function transformed({ x, y }, { a, b, c, d, e, f }) {
  const length = Math.max(x.length, y.length, 1);
  const newX = new Array(length);
  const newY = new Array(length);
  for (let k = 0; k < length; k++) {
    const ax = x[k] ?? 0;
    const ay = y[k] ?? 0;
    newX[k] = a * ax + c * ay;
    newY[k] = b * ax + d * ay;
  }
  newX[0] += e;
  newY[0] += f;
  return { x: rounded(newX), y: rounded(newY) };
}

export const shift = (dx, dy) => ({ a: 1, b: 0, c: 0, d: 1, e: dx, f: dy });

/** Scale about a point. */
export const scaling = (sx, sy, x, y) => ({ a: sx, b: 0, c: 0, d: sy, e: x - sx * x, f: y - sy * y });

/** Turn by an angle in radians about a point, clockwise on the screen. */
export function turning(angle, x, y) {
  const cos = Math.cos(angle);
  const sin = Math.sin(angle);
  return { a: cos, b: sin, c: -sin, d: cos, e: x - cos * x + sin * y, f: y - sin * x - cos * y };
}

/** How many numbers a stroke takes at a frame: coefficients that are not zero. */
export function strokeNumbers(stroke, t) {
  const { x, y } = coefficientsAt(stroke, t);
  const used = (row) => row.reduce((count, value) => count + (Math.fround(value) !== 0), 0);
  return used(x) + used(y);
}

/** How many numbers a frame takes: those of its visible strokes, and whether each stroke is visible. */
export function frameNumbers(drawing, t) {
  const shown = drawing.strokes.filter((stroke) => stroke.visible[t]);
  return shown.reduce((sum, stroke) => sum + strokeNumbers(stroke, t), drawing.strokes.length);
}
