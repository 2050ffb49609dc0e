/** The server's time, by the offset that its last `hello` or `heartbeat` gave: this computer's clock may be wrong. */

let offset = 0;

/**
 * Take the server's time as the time of now, or of the moment at which this computer's clock showed `then`.
 *
 * @param {string | undefined} time - RFC 3339
 * @param {number} [then]
 */
export function set(time, then = Date.now()) {
  const moment = Date.parse(time ?? "");
  if (!Number.isNaN(moment)) offset = moment - then;
}

/** The server's time in milliseconds. */
export function now() {
  return at(Date.now());
}

/**
 * The server's time when this computer's clock showed `moment`.
 *
 * @param {number} moment
 */
export function at(moment) {
  return moment + offset;
}
