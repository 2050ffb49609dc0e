/**
 * How the modules speak to each other: events on the one `#live` element, so that none imports another.
 *
 * | event      | detail                              | said by    |
 * |------------|-------------------------------------|------------|
 * | connection | a `ConnectionState`                 | connection |
 * | control    | a control message of the server     | messages   |
 * | frame      | the header of a frame just applied  | messages   |
 * | polling    | `{ ok, interval }`, or `null`       | polling    |
 * | pause      | `{ at }`, or `null` on resume       | pause      |
 * | send       | a message for the server            | anyone     |
 * | deliver    | markup that came another way        | polling    |
 * | retry      | nothing: connect now                | anyone     |
 * | yield      | whether polling works               | polling    |
 * | end        | a close code: stop for good         | polling    |
 */

/**
 * Say something to whoever listens.
 *
 * @param {EventTarget} element
 * @param {string} name
 * @param {unknown} [detail]
 */
export function tell(element, name, detail) {
  element.dispatchEvent(new CustomEvent(`lr:${name}`, { detail }));
}

/**
 * Listen, until the function that is given back is called.
 *
 * @param {EventTarget} element
 * @param {string} name
 * @param {(detail: any) => void} handler
 * @returns {() => void}
 */
export function hear(element, name, handler) {
  return on(element, `lr:${name}`, (event) => handler(/** @type {CustomEvent} */ (event).detail));
}

/**
 * Add a listener and give back the function that takes it away.
 *
 * @param {EventTarget} target
 * @param {string} name
 * @param {(event: any) => void} handler
 * @returns {() => void}
 */
export function on(target, name, handler) {
  target.addEventListener(name, handler);
  return () => target.removeEventListener(name, handler);
}

/**
 * Give back one function that calls all of these.
 *
 * @param {(() => void)[]} undos
 * @returns {() => void}
 */
export function all(...undos) {
  return () => {
    for (const undo of undos) undo();
  };
}
