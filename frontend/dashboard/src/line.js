/**
 * The one "socket" that htmx's extension ever sees; real sockets come and go behind it.
 *
 * The extension reconnects by itself on some codes, always to its first address, with a timer that nobody can stop: a
 * "now" button or a hidden tab would race with it and make a second socket. Behind a line that never closes, it only
 * swaps, and `Connection` alone decides when there is a socket.
 */
export class Line extends EventTarget {
  OPEN = 1;
  readyState = 1;

  /** @type {((event: Event) => void) | null} Called by nobody: the extension assigns it. */
  onopen = null;
  /** @type {((event: Event) => void) | null} */
  onclose = null;
  /** @type {((event: Event) => void) | null} */
  onerror = null;

  #send;
  #close;

  /**
   * @param {object} ends
   * @param {(text: string) => void} ends.send
   * @param {() => void} ends.close - the extension has found its element gone
   */
  constructor({ send, close }) {
    super();
    this.#send = send;
    this.#close = close;
  }

  /**
   * Hand a text to the extension, as if it had just come over a socket.
   *
   * @param {string} text
   */
  deliver(text) {
    this.dispatchEvent(new MessageEvent("message", { data: text }));
  }

  /** @param {string} text */
  send(text) {
    this.#send(text);
  }

  close() {
    this.#close();
  }
}
