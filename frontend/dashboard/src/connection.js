import { backOff, CROWDED, isFinal } from "./closing.js";
import { Silence } from "./silence.js";

/**
 * One live connection over many sockets: at most one socket at a time, opened with the place the page shows *then*.
 *
 * @typedef {"connecting" | "live" | "waiting" | "parked" | "ended"} Stage
 *
 * @typedef {object} ConnectionState
 * @property {Stage} stage
 * @property {number} misses - sockets in a row that ended without a `hello`
 * @property {number} code - how the last socket ended; 0 before that
 * @property {number} retryAt - when the next attempt is made (this computer's clock), while waiting
 * @property {number} lostAt - when the page was last known to be live (this computer's clock); 0 before it was
 *
 * @typedef {Pick<WebSocket, "send" | "close" | "readyState" | "onopen" | "onmessage" | "onclose">} Socket
 */

const STEADY_MS = 10_000; // live this long, and the back-off begins anew
const HELLO_MS = 10_000; // a proxy that swallows the upgrade gives neither close nor error
const SILENCE_MS = 45_000; // heartbeats come every 20 s: two missed
const SELDOM_MS = 300_000; // between attempts while polling works
const OPEN = 1;

export class Connection {
  /** @type {Socket | null} */
  #socket = null;
  /** @type {ConnectionState} */
  #state = { stage: "parked", misses: 0, code: 0, retryAt: 0, lostAt: 0 };
  #failures = 0;
  #atLeast = 0;
  #greeted = false;
  #seldom = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #steady;
  #silence = new Silence((heardAt) => this.#closed(1006, heardAt));
  #open;
  #receive;
  #report;
  #random;

  /**
   * @param {object} ends
   * @param {() => Socket} ends.open - makes a socket to the address of now
   * @param {(text: string) => void} ends.receive
   * @param {(state: ConnectionState) => void} ends.report
   * @param {() => number} [ends.random]
   */
  constructor({ open, receive, report, random = Math.random }) {
    this.#open = open;
    this.#receive = receive;
    this.#report = report;
    this.#random = random;
  }

  get state() {
    return this.#state;
  }

  /** Connect, if parked. */
  start() {
    if (this.#state.stage === "parked") this.#connect();
  }

  /** Connect now, if waiting to. */
  retry() {
    if (this.#state.stage === "waiting") this.#connect();
  }

  /** Close, and stay closed until `start`. */
  park() {
    if (this.#state.stage === "ended") return;
    this.#drop();
    this.#change({ stage: "parked" });
  }

  /**
   * While another way works, try sockets seldom; when it stops working, often again.
   *
   * @param {boolean} works
   */
  yieldTo(works) {
    if (works === this.#seldom) return;
    this.#seldom = works;
    if (this.#state.stage === "waiting") this.#wait(this.#pause());
  }

  /** The network is gone, as far as the browser knows: no close will come, so do not wait for one. */
  interrupt() {
    if (this.#state.stage === "live" || this.#state.stage === "connecting") this.#closed(1006);
  }

  /**
   * End for good, as a close with this code would.
   *
   * @param {number} code
   */
  end(code) {
    this.#drop();
    this.#change({ stage: "ended", code });
  }

  /**
   * Send, if anybody listens; what cannot be sent is dropped, because `hello` is answered with the state anew.
   *
   * @param {object} message
   */
  send(message) {
    if (this.#socket?.readyState === OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** The server has greeted: from here on the page is live. */
  greeted() {
    this.#greeted = true;
    this.#seldom = false;
    this.#atLeast = 0;
    this.#silence.watch(SILENCE_MS);
    this.#steady = setTimeout(() => {
      this.#failures = 0;
    }, STEADY_MS);
    this.#change({ stage: "live", misses: 0 });
  }

  /**
   * The server will close, and asks not to be called before.
   *
   * @param {number} seconds
   */
  leave(seconds) {
    this.#atLeast = seconds * 1000;
  }

  /** After sleep: look at the clock, before any late timer does. */
  check() {
    if (this.#state.stage === "live") this.#silence.check();
  }

  #connect() {
    this.#drop();
    this.#greeted = false;
    this.#change({ stage: "connecting" });
    const socket = this.#open();
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      this.#silence.heard();
      this.#receive(data);
    };
    socket.onclose = ({ code }) => {
      if (socket === this.#socket) this.#closed(code);
    };
    this.#silence.watch(HELLO_MS);
  }

  /**
   * @param {number} code
   * @param {number} [at] - when it came to that; earlier than now if only silence told
   */
  #closed(code, at = Date.now()) {
    this.#drop();
    const lostAt = this.#greeted ? at : this.#state.lostAt;
    const misses = this.#greeted ? 0 : this.#state.misses + 1;
    this.#greeted = false;
    this.#state = { ...this.#state, misses, code, lostAt };
    this.#failures += 1;
    if (isFinal(code)) this.#change({ stage: "ended" });
    else this.#wait(this.#pause());
  }

  #pause() {
    if (this.#seldom || this.#state.code === CROWDED) return SELDOM_MS;
    return backOff(this.#failures - 1, { atLeast: this.#atLeast, random: this.#random });
  }

  /** @param {number} delay */
  #wait(delay) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#connect(), delay);
    this.#change({ stage: "waiting", retryAt: Date.now() + delay });
  }

  /** Let go of the socket and of every timer. */
  #drop() {
    clearTimeout(this.#timer);
    clearTimeout(this.#steady);
    this.#silence.stop();
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
  }

  /** @param {Partial<ConnectionState>} change */
  #change(change) {
    this.#state = { ...this.#state, ...change };
    this.#report(this.#state);
  }
}
