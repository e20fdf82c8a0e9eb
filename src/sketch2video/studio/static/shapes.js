/** Outlines to add without a pen: points (n, 2) in frame widths, which the server fits as if they were drawn. */

const POINTS = 160;
const RADIUS = 0.16;

function along(corners, closed) {
  const ring = closed ? [...corners, corners[0]] : corners;
  const steps = Math.ceil(POINTS / (ring.length - 1));
  const out = [];
  for (let i = 0; i + 1 < ring.length; i++) {
    for (let j = 0; j < steps; j++) {
      const part = j / steps;
      out.push([0, 1].map((axis) => ring[i][axis] * (1 - part) + ring[i + 1][axis] * part));
    }
  }
  out.push(ring[ring.length - 1]);
  return out;
}

const polar = (angle, radius) => [radius * Math.sin(angle), -radius * Math.cos(angle)];
const corners = (n, inner = null) =>
  Array.from({ length: inner ? 2 * n : n }, (_, i) =>
    polar((2 * Math.PI * i) / (inner ? 2 * n : n), inner && i % 2 ? inner : 1),
  );

const SHAPES = {
  circle: () => along(corners(120), true),
  square: () => along([[-0.85, -0.85], [0.85, -0.85], [0.85, 0.85], [-0.85, 0.85]], true),
  triangle: () => along(corners(3), true),
  star: () => along(corners(5, 0.42), true),
  heart: () =>
    Array.from({ length: POINTS + 1 }, (_, i) => {
      const t = (2 * Math.PI * i) / POINTS;
      const y = 13 * Math.cos(t) - 5 * Math.cos(2 * t) - 2 * Math.cos(3 * t) - Math.cos(4 * t);
      return [(16 * Math.sin(t) ** 3) / 16, -y / 16];
    }),
  line: () => along([[-1, 0], [1, 0]], false),
};

export const SHAPE_NAMES = Object.keys(SHAPES);

/** The outline of a named shape around the middle of the frame. */
export const shapePoints = (name) => SHAPES[name]().map(([x, y]) => [0.5 + RADIUS * x, 0.5 + RADIUS * y]);
