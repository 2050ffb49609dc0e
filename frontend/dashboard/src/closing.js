/** What the end of a socket means, and how long to wait then: pure rules (feed protocol 9, dashboard 4). */

export const SIGNED_OUT = 4501;
export const FORBIDDEN = 4503;
export const CROWDED = 4029;

const BASE_MS = 500;
const CAP_MS = 30_000;

/**
 * Whether nobody but a person can help: 4500 to 4999. Everything else, unknown codes included, is tried again.
 *
 * @param {number} code
 */
export function isFinal(code) {
  return code >= 4500 && code <= 4999;
}

/**
 * How long to wait before the next attempt, in milliseconds: full jitter, so that a thousand dashboards do not come
 * back in one moment after a deploy.
 *
 * @param {number} failures - earlier ends since the connection was last steady
 * @param {{ atLeast?: number, random?: () => number }} [options]
 */
export function backOff(failures, { atLeast = 0, random = Math.random } = {}) {
  const most = Math.min(CAP_MS, BASE_MS * 2 ** failures);
  return Math.max(atLeast, Math.round(random() * most));
}
