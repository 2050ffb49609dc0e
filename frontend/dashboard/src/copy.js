import { announce } from "./announcer.js";
import { on } from "./bus.js";

const SHOWN_MS = 2000;

/**
 * Make `<button data-copy="text">` copy its text, wherever on the page it is and whenever it came.
 *
 * @returns {() => void}
 */
export function mount() {
  return on(document, "click", async ({ target }) => {
    const button = /** @type {Element} */ (target).closest?.("[data-copy]");
    if (!(button instanceof HTMLButtonElement)) return;
    const { textCopied = "", textNotCopied = "" } = document.body.dataset;
    const text = whole(button.dataset.copy ?? "");
    const answer = (await toClipboard(text)) || bySelection(text, button) ? textCopied : textNotCopied;
    show(button, answer);
    announce("");
    announce(answer);
  });
}

/**
 * A path of this site as an address that can be shared: a frame that many share does not know under which name each of
 * them sees the site.
 *
 * @param {string} text
 */
function whole(text) {
  return text.startsWith("/") ? new URL(text, location.href).href : text;
}

/**
 * @param {string} text
 * @returns {Promise<boolean>} false where the browser has no clipboard for us: without HTTPS, or without permission
 */
async function toClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * The old way, which needs no HTTPS.
 *
 * @param {string} text
 * @param {HTMLElement} button - gets the focus back
 */
function bySelection(text, button) {
  const box = document.createElement("textarea");
  box.value = text;
  box.className = "lr-hidden";
  button.after(box);
  box.select();
  const done = document.execCommand("copy");
  box.remove();
  button.focus();
  return done;
}

/** @type {WeakMap<HTMLElement, string>} */
const labels = new WeakMap();

/**
 * @param {HTMLElement} button
 * @param {string} answer
 */
function show(button, answer) {
  const label = labels.get(button) ?? button.textContent ?? "";
  labels.set(button, label);
  button.textContent = answer;
  setTimeout(() => {
    // A frame may have written the label already, or another one.
    if (button.textContent === answer) button.textContent = label;
  }, SHOWN_MS);
}
