import { isCursor, isLater } from "./cursors.js";
import { Dropped } from "./endings.js";

/**
 * What the server says. Types that are not known come out as nothing.
 *
 * @typedef {any} Message - checked by its type's own rule
 */

/** @type {Record<string, (message: Message) => boolean>} */
const RULES = {
  hello: ({ cursor, newest, gap }) => isCursor(cursor) && isCursor(newest) && (!gap || isCursor(gap.to)),
  events: isPiece,
  heartbeat: isPiece,
  caught_up: ({ cursor }) => isCursor(cursor),
  error: ({ code, close }) => typeof code === "string" && Number.isInteger(close),
  goodbye: () => true,
};

/**
 * Whether a batch's events stand in order inside its bounds: anything else would be skipped without a word.
 *
 * @param {Message} message
 */
function isPiece({ prev, cursor, events = [] }) {
  if (!isCursor(prev) || !isCursor(cursor) || !Array.isArray(events)) return false;
  if (!events.every((event) => isCursor(event?.cursor))) return false;
  const places = events.map((event) => event.cursor);
  const last = places.at(-1) ?? cursor;
  return places.every((at, n) => !n || isLater(at, places[n - 1])) && (last === cursor || isLater(cursor, last));
}

/**
 * @param {string} text
 * @returns {Message | undefined}
 */
export function parse(text) {
  let message;
  try {
    message = JSON.parse(text);
  } catch {
    throw new Dropped("the server sent what is not JSON");
  }
  return check(message);
}

/**
 * @param {any} message
 * @returns {Message | undefined}
 */
export function check(message) {
  if (typeof message?.type !== "string") throw new Dropped("the server sent what is no message");
  const rule = Object.hasOwn(RULES, message.type) ? RULES[message.type] : undefined;
  if (rule && !rule(message)) throw new Dropped(`the server sent a broken message (${message.type})`);
  return rule && message;
}
