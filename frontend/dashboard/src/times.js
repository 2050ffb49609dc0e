import { all, hear } from "./bus.js";
import * as clock from "./clock.js";
import { region } from "./page.js";

/** @type {[Intl.RelativeTimeFormatUnit, number][]} */
const UNITS = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
];

/**
 * How long ago a moment was, in words; never in the future, whatever the clocks say.
 *
 * @param {number} moment
 * @param {number} now
 * @param {string} language
 */
export function ago(moment, now, language) {
  const seconds = Math.max(0, Math.floor((now - moment) / 1000));
  const [unit, size] = UNITS.find(([, length]) => seconds >= length) ?? ["second", 1];
  const format = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
  return format.format(-Math.floor(seconds / size), unit);
}

/**
 * A moment as a clock shows it, in the zone that the server renders in.
 *
 * @param {number} moment
 * @param {{ language: string, zone: string }} place
 */
export function atClock(moment, { language, zone }) {
  const parts = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
  const format = /** @type {Intl.DateTimeFormatOptions} */ (parts);
  return new Intl.DateTimeFormat(language, zone ? { ...format, timeZone: zone } : format).format(moment);
}

/**
 * Fill in a text's `{name}`s.
 *
 * @param {string} text
 * @param {Record<string, string | number>} values
 */
export function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/**
 * Keep "how long ago was the last event" current, once a second, against the server's clock.
 *
 * @param {HTMLElement} live
 * @returns {() => void}
 */
export function mount(live) {
  let paused = false;
  clock.set(region("cursor").dataset.time, answeredAt());
  const show = () => {
    const target = /** @type {HTMLElement | null} */ (document.querySelector("[data-last-event]"));
    const newest = /** @type {HTMLTimeElement | null} */ (document.querySelector("#events time"));
    if (target === null || paused) return;
    target.textContent = newest && ago(Date.parse(newest.dateTime), clock.now(), document.documentElement.lang);
  };
  const timer = setInterval(show, 1000);
  show();
  return all(
    () => clearInterval(timer),
    hear(live, "control", ({ time }) => clock.set(time)),
    hear(live, "frame", show),
    hear(live, "pause", (pause) => {
      paused = pause !== null;
      show();
    }),
  );
}

/** When the server's answer began to come, by this computer's clock: until the first `hello` that is the best guess. */
function answeredAt() {
  const [navigation] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType("navigation"));
  return Date.now() - (performance.now() - (navigation?.responseStart ?? 0));
}
