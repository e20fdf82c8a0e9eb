/** The painted video: frames in step with the timeline, before and after divided by a slider, lines on top. */

import { strokePath } from "./canvas.js";
import { byId } from "./dom.js";

/**
 * Decode a sheet of frames of the API, {frames: [data URL], count, columns, size}: frame i is at column i % columns and row
 * floor(i / columns). The sheet itself is kept, to be stored in the browser.
 */
export async function decode(sheet) {
  const image = new Image();
  image.src = sheet.frames[0];
  await image.decode();
  return { image, sheet, count: sheet.count, size: sheet.size, columns: sheet.columns };
}

export class VideoView {
  /** @param {import("./state.js").Store} store */
  constructor(store) {
    this.store = store;
    this.canvas = byId("video");
    this.stage = byId("video-stage");
    this.divider = byId("divider");
    this.slider = byId("compare-at");
    this.cell = document.createElement("canvas");
    this.after = null;
    this.before = null;
    this.slider.addEventListener("input", () => this.draw());
    new ResizeObserver(() => this.#resize()).observe(this.stage);
  }

  #resize() {
    const side = Math.min(2048, Math.round(this.stage.clientWidth * (window.devicePixelRatio || 1)));
    if (!side || this.canvas.width === side) return;
    this.canvas.width = this.canvas.height = side;
    this.draw();
  }

  set({ before, after }) {
    this.before = before;
    this.after = after;
    this.draw();
  }

  draw() {
    const { view, doc } = this.store;
    const context = this.canvas.getContext("2d");
    const side = this.canvas.width;
    context.clearRect(0, 0, side, side);
    const comparing = Boolean(view.compare && this.before && this.after);
    byId("compare").hidden = !comparing;
    const at = comparing ? Number(this.slider.value) / 100 : 0;
    this.divider.style.left = `${100 * at}%`;
    if (this.after) this.#part(context, this.after, at, 1);
    if (comparing) this.#part(context, this.before, 0, at);
    if (view.lines && doc.drawing && this.after) this.#lines(context, doc.drawing, view.frame);
  }

  #part(context, video, from, to) {
    const side = this.canvas.width;
    if (from >= to) return;
    const frame = Math.min(this.store.view.frame, video.count - 1);
    const [x, y] = [frame % video.columns, Math.floor(frame / video.columns)].map((index) => index * video.size);
    context.save();
    context.beginPath();
    context.rect(from * side, 0, (to - from) * side, side);
    context.clip();
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.#frame(video, x, y), 0, 0, side, side);
    context.restore();
  }

  /** One frame alone: smoothing would mix in the neighbours on the sheet. */
  #frame(video, x, y) {
    this.cell.width = this.cell.height = video.size;
    this.cell.getContext("2d").drawImage(video.image, x, y, video.size, video.size, 0, 0, video.size, video.size);
    return this.cell;
  }

  #lines(context, drawing, t) {
    context.save();
    context.scale(this.canvas.width / 1000, this.canvas.width / 1000);
    context.lineCap = context.lineJoin = "round";
    for (const [width, colour] of [[7, "rgba(255, 255, 255, .85)"], [3.2, "#16181d"]]) {
      context.lineWidth = width;
      context.strokeStyle = colour;
      for (const stroke of drawing.strokes) {
        if (stroke.visible[t]) context.stroke(new Path2D(strokePath(stroke, t)));
      }
    }
    context.restore();
  }
}
