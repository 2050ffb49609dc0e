import { all, hear, on } from "./bus.js";
import * as clock from "./clock.js";

/** @type {[string, number][]} */
const UNITS = [
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];

/**
 * How long it is until then, in the two greatest units; empty when the time has come, so it is never negative.
 *
 * @param {number} moment
 * @param {number} now
 * @param {string} language
 */
export function left(moment, now, language) {
  let seconds = Math.ceil((moment - now) / 1000);
  if (seconds <= 0) return "";
  const first = UNITS.findIndex(([, length]) => seconds >= length);
  const parts = UNITS.slice(first, first + 2).map(([unit, length]) => {
    const count = Math.floor(seconds / length);
    seconds -= count * length;
    return new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "short" }).format(count);
  });
  return new Intl.ListFormat(language, { type: "unit", style: "narrow" }).format(parts);
}

/**
 * Count down in each `<time data-countdown>`, once a second, against the server's clock; the exact time stays as its
 * tooltip. Stands still during a pause, as everything does.
 *
 * @param {HTMLElement} live
 * @returns {() => void}
 */
export function mount(live) {
  let paused = false;
  /** @type {WeakMap<Element, string>} */
  const written = new WeakMap();

  const show = () => {
    if (paused) return;
    const { lang } = document.documentElement;
    const due = document.body.dataset.textDue ?? "";
    for (const element of /** @type {NodeListOf<HTMLTimeElement>} */ (
      document.querySelectorAll("time[data-countdown]")
    )) {
      // What we have not written is the server's: the exact time.
      if (element.textContent !== written.get(element)) element.title = element.textContent ?? "";
      const text = left(Date.parse(element.dateTime), clock.now(), lang) || due;
      written.set(element, text);
      if (element.textContent !== text) element.textContent = text;
    }
  };
  const timer = setInterval(show, 1000);
  show();
  return all(
    () => clearInterval(timer),
    // In the same task as the frame or the filter's answer, so that nobody sees the time that they bring.
    on(document.body, "htmx:oobAfterSwap", show),
    hear(live, "control", show),
    hear(live, "pause", (pause) => {
      paused = pause !== null;
      show();
    }),
  );
}
