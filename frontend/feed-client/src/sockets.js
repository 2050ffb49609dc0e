import { Dropped, final } from "./endings.js";
import { parse } from "./messages.js";

/** @typedef {import("./connections.js").Opening} Opening */

const PROTOCOL = "livereferrals.v1";
const ACK_PAUSE_MS = 200; // acknowledgements are cumulative, and a server takes 20 messages a second at most
const BACKLOG = 4096; // more than a window of 2,000 events, where the server stops

/** The feed over a WebSocket: the one transport with acknowledgements. */
export class SocketConnection {
  /** @type {any[]} */
  #received = [];
  /** @type {Dropped | undefined} */
  #end;
  /** @type {(() => void) | undefined} */
  #wake;
  #open = () => {};
  #retryAfter = 0;
  #socket;
  /** @type {string | undefined} */
  #ack;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #acking;

  /** @param {Opening} opening */
  constructor({ address, query, ticket }) {
    const url = `${address.replace(/^http/, "ws")}/ws?${new URLSearchParams({ ...query, ack: "1" })}`;
    const socket = new WebSocket(url, [PROTOCOL, `livereferrals.ticket.${ticket}`]);
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#take(data);
    // A close follows, but not everywhere: Node 20 leaves it out after a failed handshake.
    socket.onerror = () => this.#finish(new Dropped("the connection failed"));
    socket.onclose = ({ code }) =>
      this.#finish(new Dropped(`the connection was closed (${code})`, { close: code, retryAfter: this.#retryAfter }));
    /** @type {Promise<void>} */
    this.opened = new Promise((resolve) => {
      // One that never opens is told of by the close, to whoever receives.
      this.#open = resolve;
      socket.onopen = () => {
        if (socket.protocol !== PROTOCOL) this.#finish(final("not_a_feed", `the server does not speak ${PROTOCOL}`));
        resolve();
      };
    });
  }

  async receive() {
    while (!this.#received.length) {
      if (this.#end) throw this.#end;
      await new Promise((resolve) => {
        this.#wake = () => resolve(undefined);
      });
    }
    return this.#received.shift();
  }

  /** @param {string} cursor */
  acknowledge(cursor) {
    this.#ack = cursor;
    this.#acking ??= setTimeout(() => {
      this.#acking = undefined;
      this.#say({ type: "ack", cursor: this.#ack });
    }, ACK_PAUSE_MS);
  }

  close() {
    clearTimeout(this.#acking);
    this.#finish(new Dropped("closed"));
    this.#socket.close();
  }

  /** @param {unknown} data */
  #take(data) {
    if (this.#end) return;
    try {
      if (typeof data !== "string") throw new Dropped("the server sent a binary message");
      const message = parse(data);
      if (message?.type === "error") {
        throw new Dropped(message.message, { problem: message, retryAfter: this.#retryAfter });
      }
      if (message?.type === "goodbye") this.#retryAfter = message.retry_after_s ?? 0;
      else if (message) this.#keep(message);
    } catch (error) {
      if (!(error instanceof Dropped)) throw error;
      this.#finish(error);
    }
  }

  /** @param {any} message */
  #keep(message) {
    // A server gives up an acknowledging client that says nothing for 90 s, as one does whose handler takes that long.
    if (message.type === "heartbeat" && !this.#wake) this.#say({ type: "ping", id: "busy" });
    if (this.#received.push(message) > BACKLOG) throw new Dropped("the server sends more than its window");
    this.#wakeUp();
  }

  /** @param {Dropped} end */
  #finish(end) {
    this.#end ??= end;
    this.#open();
    this.#wakeUp();
  }

  #wakeUp() {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  /** @param {object} message */
  #say(message) {
    if (this.#socket.readyState === 1) this.#socket.send(JSON.stringify(message));
  }
}
