import { all, hear, on, tell } from "./bus.js";
import * as clock from "./clock.js";
import { header, region } from "./page.js";

const KEY = "livereferrals.paused";

/**
 * Let the person stop everything that moves, with the button or the key `p`; kept for this tab.
 *
 * @param {HTMLElement} live
 * @returns {() => void}
 */
export function mount(live) {
  const { dataset } = region("status");
  const button = /** @type {HTMLButtonElement} */ (region("status").querySelector(".lr-status__pause"));
  let paused = false;

  /** @param {boolean} wanted */
  const set = (wanted) => {
    paused = wanted;
    button.textContent = (paused ? dataset.textResume : dataset.textPause) ?? "";
    if (paused) sessionStorage.setItem(KEY, "1");
    else sessionStorage.removeItem(KEY);
    tell(live, "pause", paused ? { at: clock.now() } : null);
    inform();
  };
  const inform = () => tell(live, "send", { type: paused ? "pause" : "resume", cursor: header().cursor });

  button.hidden = false;
  if (sessionStorage.getItem(KEY) !== null) set(true);
  return all(
    on(button, "click", () => set(!paused)),
    on(document, "keydown", (event) => {
      if (isShortcut(event)) set(!paused);
    }),
    hear(live, "control", ({ type }) => {
      // A new socket knows nothing of the pause.
      if (type === "hello" && paused) inform();
    }),
  );
}

/**
 * Whether this key press is meant for the page: a lone `p`, outside of anything that takes text.
 *
 * @param {KeyboardEvent} event
 */
export function isShortcut({ key, altKey, ctrlKey, metaKey, repeat, target }) {
  if (key !== "p" || altKey || ctrlKey || metaKey || repeat) return false;
  const element = /** @type {HTMLElement} */ (target);
  return !element.isContentEditable && !["INPUT", "SELECT", "TEXTAREA"].includes(element.tagName);
}
