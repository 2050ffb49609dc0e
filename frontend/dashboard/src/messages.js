import { all, hear, on, tell } from "./bus.js";
import { maySupersede, readHeader } from "./frames.js";
import { header, region } from "./page.js";

/**
 * Sort what comes over the line: control messages to the modules, frames to htmx if they may be shown now.
 *
 * A frame holds only the regions that differ from what the server has sent before, so one that comes during a pause is
 * kept, not dropped.
 *
 * @param {HTMLElement} live
 * @returns {() => void}
 */
export function mount(live) {
  /** @type {string[]} */
  const kept = [];
  let paused = false;

  /** @param {CustomEvent<{ message: string }>} event */
  const sort = (event) => {
    const text = event.detail.message;
    if (text.startsWith("{")) {
      event.preventDefault();
      tell(live, "control", JSON.parse(text));
      return;
    }
    const frame = readHeader(text);
    if (frame === null) return;
    if (paused) kept.push(text);
    if (paused || !maySupersede(frame, header())) {
      event.preventDefault();
      acknowledge(frame.cursor);
    }
  };

  /** @param {CustomEvent<{ message: string }>} event */
  const applied = (event) => {
    const frame = readHeader(event.detail.message);
    if (frame === null) return;
    showPlace();
    tell(live, "frame", frame);
    afterPaint(() => acknowledge(frame.cursor));
  };

  /** @param {string} cursor */
  const acknowledge = (cursor) => tell(live, "send", { type: "ack", cursor });

  return all(
    on(live, "htmx:wsBeforeMessage", sort),
    on(live, "htmx:wsAfterMessage", applied),
    hear(live, "pause", (/** @type {object | null} */ pause) => {
      paused = pause !== null;
      if (paused) return;
      for (const text of kept.splice(0)) tell(live, "deliver", text);
    }),
  );
}

/** Say on `<main>` which place of the log the page shows now. */
export function showPlace() {
  region("content").dataset.cursor = header().cursor;
}

/**
 * The server sends the next frame only after the `ack`: giving it once the browser has painted makes a slow browser
 * get fewer frames instead of a queue. A hidden tab paints nothing and answers at once.
 *
 * @param {() => void} act
 */
function afterPaint(act) {
  if (document.hidden) act();
  else requestAnimationFrame(() => setTimeout(act));
}
