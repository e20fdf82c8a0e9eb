/** The painted video: frames in step with the timeline, before and after divided by a slider, lines on top. */

import { strokePath } from "./canvas.js";
import { byId } from "./dom.js";

/** Decode frames of the API, {width, height, frames: data URLs}, into {images, width, height, urls}. */
export async function decode({ width, height, frames }) {
  const images = await Promise.all(
    frames.map(async (url) => {
      const image = new Image();
      image.src = url;
      await image.decode();
      return image;
    }),
  );
  return { images, width: width ?? images[0]?.naturalWidth, height: height ?? images[0]?.naturalHeight, urls: frames };
}

export class VideoView {
  /** @param {import("./state.js").Store} store */
  constructor(store) {
    this.store = store;
    this.canvas = byId("video");
    this.stage = byId("video-stage");
    this.divider = byId("divider");
    this.slider = byId("compare-at");
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
    const image = video.images[Math.min(this.store.view.frame, video.images.length - 1)];
    if (!image || from >= to) return;
    context.save();
    context.beginPath();
    context.rect(from * side, 0, (to - from) * side, side);
    context.clip();
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    context.drawImage(image, 0, 0, side, side);
    context.restore();
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
