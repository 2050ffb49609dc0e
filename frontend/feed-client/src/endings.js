/**
 * How a connection ends, and how the feed does.
 *
 * @typedef {object} Problem
 * @property {string} code
 * @property {string} message
 * @property {number} close
 * @property {number} [retry_after_s]
 * @property {string | null} [oldest]
 * @property {string | null} [newest]
 */

/** The feed has ended for good: reconnecting unchanged would end the same way. */
export class FeedStopped extends Error {
  /** @param {Problem | { code: string, message: string, close?: number, oldest?: string | null, newest?: string | null }} problem */
  constructor({ code, message, close, oldest, newest }) {
    super(message);
    this.name = "FeedStopped";
    this.code = code;
    this.close = close;
    this.oldest = oldest ?? null;
    this.newest = newest ?? null;
  }
}

/** One connection is over. An `error` message counts before the close code. */
export class Dropped extends Error {
  /**
   * @param {string} why
   * @param {{ close?: number, problem?: Problem, retryAfter?: number }} [facts] - `retryAfter` in seconds
   */
  constructor(why, { close, problem, retryAfter = 0 } = {}) {
    super(why);
    this.problem = problem;
    this.close = problem?.close ?? close ?? 0;
    this.retryAfter = Math.max(retryAfter, problem?.retry_after_s ?? 0);
  }

  /** The class rule: 4500 to 4999 stop, anything else means coming back with the cursor. */
  get isFinal() {
    return this.close >= 4500 && this.close <= 4999;
  }

  asStop() {
    const { close, message } = this;
    return new FeedStopped(this.problem ?? { code: `close_${close}`, message, close });
  }
}

/**
 * An end that no other try would change, found by this client.
 *
 * @param {string} code
 * @param {string} message
 */
export const final = (code, message) => new Dropped(message, { problem: { code, message, close: 4500 } });
