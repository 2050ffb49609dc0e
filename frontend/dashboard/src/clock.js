/** The server's time, by the offset that its last `hello` or `heartbeat` gave: this computer's clock may be wrong. */

let offset = 0;

/**
 * Take the server's time as the time of now.
 *
 * @param {string | undefined} time - RFC 3339
 */
export function set(time) {
  const moment = Date.parse(time ?? "");
  if (!Number.isNaN(moment)) offset = moment - Date.now();
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
