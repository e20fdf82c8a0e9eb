/** Painting: the newest document wins, stale ones are dropped, and videos that were painted already are kept. */

import * as api from "./api.js";
import { settled } from "./dom.js";
import { decode } from "./video.js";

const KEPT_VIDEOS = 12;
const SETTLE_MS = 140; // after the last key press of a series
const LIVE_UP_TO = 1500; // ms of the last painting, up to which a drag is painted while it goes on

const identities = new WeakMap();
let identity = 0;

/** A name for an immutable object. */
function nameOf(object) {
  if (!object) return 0;
  if (!identities.has(object)) identities.set(object, ++identity);
  return identities.get(object);
}

export class Painter {
  #job = null; // {id, key, live, controller}
  #videos = []; // newest last: {key, video}
  #lastMs = 0;

  /**
   * @param {import("./state.js").Store} store
   * @param {() => object | undefined} modelOf the chosen model
   * @param {(state: object) => void} onChange {busy, progress, error, before, after}
   */
  constructor(store, modelOf, onChange) {
    this.store = store;
    this.modelOf = modelOf;
    this.state = { busy: false, progress: null, error: null, before: null, after: null };
    this.onChange = onChange;
    this.soon = settled(() => this.paint(), SETTLE_MS);
  }

  #set(patch) {
    this.state = { ...this.state, ...patch };
    this.onChange(this.state);
  }

  /** The request for the document, without the drawing. */
  #request() {
    const { caption, seed, fps, frames, sampling, drawing } = this.store.doc;
    const model = this.modelOf();
    const given = Object.fromEntries(Object.entries(sampling).filter(([name]) => name in (model.sampling ?? {}) || name === "sampler"));
    const count = drawing?.frames ?? frames ?? model.frames;
    return { model: model.id, caption: caption.trim(), seed, fps, frames: count, sampling: given };
  }

  #key(request) {
    const { drawing } = this.store.doc;
    return `${nameOf(this.modelOf().draws ? drawing : null)} ${JSON.stringify(request)}`;
  }

  get possible() {
    const model = this.modelOf();
    const { drawing, caption } = this.store.doc;
    return Boolean(model && caption.trim() && (!model.draws || drawing));
  }

  /** Whether the video that is shown is that of the document. */
  get current() {
    return this.possible && this.state.after?.key === this.#key(this.#request());
  }

  /** Paint while a gesture goes on: only if nothing is painted now and painting is fast. */
  live() {
    if (this.#job || !this.possible || this.#lastMs > LIVE_UP_TO || !this.state.after) return;
    this.paint({ live: true });
  }

  /**
   * Paint the document; resolves with the video, or null if another request replaced it.
   *
   * @param {{live?: boolean, save?: boolean}} options save: also into the gallery
   */
  async paint({ live = false, save = false } = {}) {
    if (!this.possible) return null;
    const request = this.#request();
    const key = this.#key(request);
    if (!save) {
      if (this.#job?.key === key) return null;
      const known = this.#videos.find((each) => each.key === key);
      if (known) {
        this.#leave();
        this.#show(known.video, live);
        this.#set({ busy: false, error: null });
        return known.video;
      }
    }
    this.#leave();
    const controller = new AbortController();
    const job = { id: null, key, live, controller };
    this.#job = job;
    const started = performance.now();
    this.#set({ busy: true, progress: null, error: null });
    try {
      const drawing = this.modelOf().draws ? this.store.doc.drawing : null;
      const posted = await api.startPaint({ ...request, drawing, gallery: save });
      job.id = posted.job;
      if (this.#job !== job) return null;
      const end = await api.follow(job.id, (progress) => this.#job === job && this.#set({ progress }), controller.signal);
      if (this.#job !== job) return null;
      if (end.kind === "failed") throw new Error(end.message);
      if (end.kind !== "done") {
        this.#job = null;
        this.#set({ busy: false, progress: null });
        return null;
      }
      const video = { ...(await decode(await api.frames(job.id))), key, saved: save ? end.key : null, seconds: end.seconds, seed: request.seed };
      if (this.#job !== job) return null;
      this.#job = null;
      this.#lastMs = performance.now() - started;
      this.#remember(key, video);
      this.#show(video, live);
      this.#set({ busy: false, progress: null });
      // What was dragged in the meantime.
      if (live && this.store.inGesture) this.live();
      return video;
    } catch (error) {
      if (this.#job !== job) return null;
      this.#job = null;
      this.#set({ busy: false, progress: null, error: error.message });
      return null;
    }
  }

  #show(video, live) {
    const { after, settledVideo } = this.state;
    // A gesture compares with the video from before it, not with the last one of the drag.
    if (live) return this.#set({ after: video, settledVideo: settledVideo ?? after });
    const last = settledVideo ?? after;
    const before = last && last.key !== video.key ? last : this.state.before;
    return this.#set({ before, after: video, settledVideo: null });
  }

  #remember(key, video) {
    this.#videos = [...this.#videos.filter((each) => each.key !== key), { key, video }].slice(-KEPT_VIDEOS);
  }

  /** Show a video that was made earlier; `current`: it is that of the document, and is not painted again. */
  adopt(video, { before = null, current = true } = {}) {
    this.#leave();
    const key = this.possible && current ? this.#key(this.#request()) : "adopted";
    const own = { ...video, key };
    this.#remember(key, own);
    this.#set({ busy: false, progress: null, error: null, after: own, before: before ?? this.state.before, settledVideo: null });
  }

  #leave() {
    this.#job?.controller.abort();
    this.#job = null;
  }

  /** Stop what is painted now. */
  async cancel() {
    const job = this.#job;
    this.#leave();
    this.#set({ busy: false, progress: null });
    if (job?.id) await api.stopPaint(job.id).catch(() => {});
  }

  clear() {
    this.#leave();
    this.#set({ busy: false, progress: null, error: null, before: null, after: null, settledVideo: null });
  }
}
