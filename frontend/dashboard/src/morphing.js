import { Idiomorph } from "idiomorph/htmx";

export { Idiomorph };

const FRESH_MS = 1200;
const MARK_MS = 6000; // without motion a mark has to stand longer to be seen

/**
 * Make morphs leave alone what the person has done: typed text, the focus, an open `<details>` or dialog; and mark the
 * rows that a morph adds. The registration of the `morph` swap style with htmx comes with the import.
 *
 * @returns {() => void}
 */
export function mount() {
  const { defaults } = Idiomorph;
  const before = { ...defaults, callbacks: { ...defaults.callbacks } };
  defaults.ignoreActiveValue = true;
  defaults.callbacks.beforeAttributeUpdated = mayUpdate;
  defaults.callbacks.afterNodeAdded = markFresh;
  return () => Object.assign(defaults, before);
}

/**
 * Whether a morph may write this attribute; `open` is the person's, `data-fresh` is ours.
 *
 * @param {string} name
 */
export function mayUpdate(name) {
  return name !== "open" && name !== "data-fresh";
}

/** @param {Node} node */
function markFresh(node) {
  if (!(node instanceof HTMLTableRowElement) || node.id === "") return;
  node.dataset.fresh = "";
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  setTimeout(() => delete node.dataset.fresh, still ? MARK_MS : FRESH_MS);
}
