/** Cursors, `<epoch>.<seq>`: compared as texts, because their numbers do not fit into a `number`. */

const PATTERN = /^[a-z0-9]{4,16}\.(0|[1-9]\d{0,18})$/;
const MAX_SEQ = 2n ** 63n - 1n;

/** @param {string} cursor */
export const epoch = (cursor) => cursor.slice(0, cursor.indexOf("."));

/** @param {string} cursor */
export const seq = (cursor) => BigInt(cursor.slice(cursor.indexOf(".") + 1));

/**
 * @param {unknown} value
 * @returns {value is string}
 */
export const isCursor = (value) => typeof value === "string" && PATTERN.test(value) && seq(value) <= MAX_SEQ;

/**
 * Whether one cursor lies after another of the same epoch; across epochs nothing can be said, so: no.
 *
 * @param {string} cursor
 * @param {string} than
 */
export const isLater = (cursor, than) => epoch(cursor) === epoch(than) && seq(cursor) > seq(than);
