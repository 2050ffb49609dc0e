import { Idiomorph } from "idiomorph/htmx";
import { all, on } from "./bus.js";
import { region } from "./page.js";

export { Idiomorph };

const ROW = "tr[id]";
const FRESH_MS = 1200;
const MOST_FRESH = 12; // a list that is new as a whole has nothing to point at, and fifty fading rows cost a third of a core
const MARK_MS = 6000; // without motion a mark has to stand longer to be seen

/**
 * Make morphs leave alone what the person has done: typed text, the focus, an open `<details>` or dialog; and mark the
 * rows that a live frame adds. The registration of the `morph` swap style with htmx comes with the import.
 *
 * @param {HTMLElement} live
 * @returns {() => void}
 */
export function mount(live) {
  const { defaults } = Idiomorph;
  const before = { ...defaults, callbacks: { ...defaults.callbacks } };
  /** @type {Set<HTMLElement> | null} */
  let added = null;

  defaults.ignoreActiveValue = true;
  defaults.callbacks.beforeAttributeUpdated = mayUpdate;
  defaults.callbacks.afterNodeAdded = (node) => {
    for (const row of rowsOf(node)) added?.add(row);
  };
  const stop = on(live, "htmx:wsBeforeMessage", () => {
    const focused = document.activeElement;
    const rows = new Set();
    added = rows;
    queueMicrotask(() => {
      added = null;
      if (rows.size <= MOST_FRESH) rows.forEach(markFresh);
      keepFocus(focused);
    });
  });
  return all(stop, () => Object.assign(defaults, before));
}

/**
 * Whether a morph may write this attribute; `open` is the person's, `data-fresh` is ours.
 *
 * @param {string} name
 */
export function mayUpdate(name) {
  return name !== "open" && name !== "data-fresh";
}

/**
 * Where a frame has taken away what had the focus, go on from the page's content, not from its very beginning.
 *
 * @param {Element | null} focused
 */
function keepFocus(focused) {
  if (focused !== null && !focused.isConnected) region("content").focus({ preventScroll: true });
}

/**
 * @param {Node} node - an event's row, or whatever holds such rows
 * @returns {Iterable<HTMLElement>}
 */
function rowsOf(node) {
  if (!(node instanceof HTMLElement)) return [];
  return node.matches(ROW) ? [node] : /** @type {NodeListOf<HTMLElement>} */ (node.querySelectorAll(ROW));
}

/** @param {HTMLElement} row */
function markFresh(row) {
  row.dataset.fresh = "";
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  setTimeout(() => delete row.dataset.fresh, still ? MARK_MS : FRESH_MS);
}
