/** The gallery: what was made; a click brings it back, with everything that it was made from. */

import * as api from "./api.js";
import { announce, byId, h, icon, unseen } from "./dom.js";

export class Gallery {
  #items = [];

  /** @param {(item: object, frames: object) => void} onOpen receives an item and its frames */
  constructor(onOpen) {
    this.onOpen = onOpen;
    this.list = byId("gallery");
  }

  async refresh() {
    try {
      this.#items = (await api.gallery.list()).items;
    } catch (error) {
      byId("gallery-empty").textContent = error.message;
    }
    this.#show();
  }

  #show() {
    byId("gallery-empty").hidden = this.#items.length > 0;
    byId("gallery-facts").textContent = this.#items.length ? String(this.#items.length) : "";
    this.list.replaceChildren(...this.#items.map((item) => this.#card(item)));
  }

  #card(item) {
    const picture = h("img", { src: api.gallery.file(item.key, "gif"), alt: "", loading: "lazy", width: 160, height: 160 });
    const still = h("canvas", { class: "still", width: 160, height: 160, "aria-hidden": "true" });
    // The first frame, until a pointer or the focus is on it: only what is looked at moves.
    picture.addEventListener("load", () => still.getContext("2d").drawImage(picture, 0, 0, 160, 160));
    const facts = [`seed ${item.seed}`, `${item.num_frames} frames`].join(" · ");
    const open = h("button", { type: "button", class: "thumb", onclick: () => this.#open(item.key) },
      h("span", { class: "frame" }, picture, still), unseen("Open "),
      h("span", { class: "caption" }, item.caption || "untitled"),
      h("span", { class: "facts" }, facts));
    const remove = h("button", { type: "button", class: "icon-button remove", "aria-label": `Remove: ${item.caption || "untitled"}`, title: "Remove", onclick: () => this.#remove(item) }, icon("close"));
    return h("li", { "data-key": item.key }, open, remove);
  }

  async #open(key) {
    try {
      const [item, frames] = await Promise.all([api.gallery.item(key), api.gallery.frames(key).catch(() => null)]);
      await this.onOpen(item, frames);
    } catch (error) {
      announce(error.message, { error: true });
    }
  }

  async #remove(item) {
    if (!window.confirm(`Remove “${item.caption}” and its files?`)) return;
    try {
      await api.gallery.remove(item.key);
      announce("Removed");
    } catch (error) {
      announce(error.message, { error: true });
    }
    await this.refresh();
    (this.list.querySelector("button") ?? byId("caption")).focus();
  }
}
