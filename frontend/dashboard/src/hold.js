import { all, hear, on } from "./bus.js";
import { Idiomorph } from "./morphing.js";
import { region } from "./page.js";
import { fill } from "./times.js";

/**
 * While the pointer or the focus is in a live list, keep its rows where they are; a button above says how many are
 * new, and shows them. The button names its list: `data-fresh="<id of the region>"`.
 *
 * @param {HTMLElement} live
 * @returns {() => void}
 */
export function mount(live) {
  const buttons = /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll("[data-fresh]"));
  return all(...Array.from(buttons, (button) => watch(live, region(button.dataset.fresh ?? ""), button)));
}

/**
 * @param {HTMLElement} live
 * @param {HTMLElement} events
 * @param {HTMLButtonElement} button
 * @returns {() => void}
 */
function watch(live, events, button) {
  /** @type {Element | null} */
  let newest = null;
  let pointed = false;
  let focused = false;

  /** @param {CustomEvent<{ shouldSwap: boolean, fragment: DocumentFragment }>} event */
  const consider = ({ detail }) => {
    const content = detail.fragment.firstElementChild;
    const sameFilters = content?.getAttribute("data-filter") === events.dataset.filter;
    if (content === null || !sameFilters || !(pointed || focused)) {
      forget();
      return;
    }
    detail.shouldSwap = false;
    newest = content;
    const count = countNew(content, events);
    button.textContent = fill(button.dataset.text ?? "", { n: count });
    button.hidden = count === 0;
  };
  const forget = () => {
    newest = null;
    button.hidden = true;
  };
  const release = () => {
    if (newest !== null) Idiomorph.morph(events, newest);
    forget();
  };
  const releaseIfLeft = () => {
    if (!pointed && !focused) release();
  };

  return all(
    on(events, "htmx:oobBeforeSwap", consider),
    on(events, "pointerenter", ({ pointerType }) => {
      pointed = pointerType === "mouse";
    }),
    on(events, "pointerleave", () => {
      pointed = false;
      releaseIfLeft();
    }),
    on(events, "focusin", () => {
      focused = true;
    }),
    on(events, "focusout", () => {
      focused = false;
      releaseIfLeft();
    }),
    on(button, "click", release),
    hear(live, "pause", releaseIfLeft),
  );
}

/**
 * How many rows of the new list are not in the old one.
 *
 * @param {Element} content
 * @param {Element} old
 */
function countNew(content, old) {
  const known = new Set(Array.from(old.querySelectorAll("tr[id]"), (row) => row.id));
  return Array.from(content.querySelectorAll("tr[id]")).filter((row) => !known.has(row.id)).length;
}
