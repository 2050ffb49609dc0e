/** A socket that does what the test says. */
export class FakeSocket {
  /** @type {0 | 1 | 2 | 3} */
  readyState = 0;
  /** @type {string[]} */
  sent = [];
  /** @type {number | null} */
  closedWith = null;
  /** @type {any} */
  onopen = null;
  /** @type {any} */
  onmessage = null;
  /** @type {any} */
  onclose = null;

  /** @param {string} text */
  send(text) {
    this.sent.push(text);
  }

  /** @param {number} [code] */
  close(code) {
    this.closedWith = code ?? 1005;
    this.readyState = 3;
  }

  open() {
    this.readyState = 1;
  }

  /** @param {string} text */
  receive(text) {
    this.onmessage({ data: text });
  }

  /** @param {number} code */
  end(code) {
    this.readyState = 3;
    this.onclose({ code });
  }
}
