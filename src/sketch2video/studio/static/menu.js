/** Menus: a popover under its button; arrow keys walk through the items. */

/** Open `menu` (an element with the popover attribute) under its button. */
export function openMenu(button, menu) {
  button.setAttribute("popovertarget", menu.id);
  button.setAttribute("aria-haspopup", "true");
  button.setAttribute("aria-expanded", "false");
  const items = () => [...menu.querySelectorAll("button:not(:disabled)")];
  menu.addEventListener("beforetoggle", (event) => {
    button.setAttribute("aria-expanded", String(event.newState === "open"));
  });
  menu.addEventListener("toggle", (event) => {
    if (event.newState !== "open") return;
    const at = button.getBoundingClientRect();
    const width = document.documentElement.clientWidth;
    // Along the edge of the button that is nearer to the edge of the page.
    const left = at.left > width / 2 ? at.right - menu.offsetWidth : at.left;
    const below = at.bottom + 6 + menu.offsetHeight < window.innerHeight;
    menu.style.left = `${Math.max(8, left)}px`;
    menu.style.top = `${below ? at.bottom + 6 : Math.max(8, at.top - menu.offsetHeight - 6)}px`;
    items()[0]?.focus();
  });
  menu.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const all = items();
    const next = (all.indexOf(document.activeElement) + step + all.length) % all.length;
    all[next].focus();
    event.preventDefault();
    event.stopPropagation();
  });
}
