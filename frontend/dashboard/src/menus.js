import { all, on } from "./bus.js";

const MENU = "details:is(.lr-types, .lr-sieve)[open]";

/**
 * Close an open menu by Escape, by a press elsewhere, and when the focus goes elsewhere.
 *
 * @returns {() => void}
 */
export function mount() {
  /** @param {EventTarget | null} target */
  const closeOthers = (target) => {
    for (const menu of document.querySelectorAll(MENU)) {
      if (target instanceof Node && !menu.contains(target)) menu.removeAttribute("open");
    }
  };
  return all(
    on(document, "pointerdown", ({ target }) => closeOthers(target)),
    on(document, "focusin", ({ target }) => closeOthers(target)),
    on(document, "keydown", ({ key, target }) => {
      if (key !== "Escape") return;
      for (const menu of document.querySelectorAll(MENU)) {
        menu.removeAttribute("open");
        if (menu.contains(target)) menu.querySelector("summary")?.focus();
      }
    }),
  );
}
