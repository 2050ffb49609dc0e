/** When a client comes back, and how it waits. */

import { Dropped } from "./endings.js";

/** @typedef {import("../types/index.d.ts").Timing} Timing */

/** @type {Timing} */
export const TIMING = { helloMs: 10_000, silence: 2.5, baseMs: 500, capMs: 60_000, steadyMs: 30_000 };

/**
 * Milliseconds before the next connection: full jitter.
 *
 * @param {number} failures - since the feed was last steady
 * @param {number} chance - from 0 to 1
 * @param {Timing} timing
 */
export const pause = (failures, chance, timing) => chance * Math.min(timing.capMs, timing.baseMs * 2 ** failures);

/**
 * The promise's value, unless the time is over or the signal comes before.
 *
 * @template Value
 * @param {Promise<Value>} promise
 * @param {number} ms
 * @param {string} why
 * @param {AbortSignal} signal
 * @returns {Promise<Value>}
 */
export function within(promise, ms, why, signal) {
  return new Promise((resolve, reject) => {
    const end = () => finish(() => reject(signal.reason));
    const timer = setTimeout(() => finish(() => reject(new Dropped(why))), ms);
    /** @param {() => void} act */
    function finish(act) {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      act();
    }
    if (signal.aborted) end();
    else signal.addEventListener("abort", end);
    promise.then(
      (value) => finish(() => resolve(value)),
      (error) => finish(() => reject(error)),
    );
  });
}

/**
 * Wait; a network that comes back or a page that is looked at cuts it short, where that is allowed.
 *
 * @param {number} ms
 * @param {number} atLeastMs - what the server asks for, and nothing cuts
 * @param {boolean} mayCut
 * @param {AbortSignal} signal
 * @returns {Promise<boolean>} whether it was cut
 */
export function rest(ms, atLeastMs, mayCut, signal) {
  const until = Date.now() + atLeastMs;
  const page = globalThis.document;
  return new Promise((resolve, reject) => {
    let cut = false;
    let timer = setTimeout(finish, Math.max(ms, atLeastMs));
    const hurry = () => {
      if (!mayCut || page?.hidden) return;
      cut = true;
      clearTimeout(timer);
      timer = setTimeout(finish, Math.max(0, until - Date.now()));
    };
    const end = () => {
      tidy();
      reject(signal.reason);
    };
    function tidy() {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      globalThis.removeEventListener?.("online", hurry);
      page?.removeEventListener("visibilitychange", hurry);
    }
    function finish() {
      tidy();
      resolve(cut);
    }
    if (signal.aborted) return end();
    signal.addEventListener("abort", end);
    globalThis.addEventListener?.("online", hurry);
    page?.addEventListener("visibilitychange", hurry);
  });
}
