import { open } from "./connections.js";
import { isCursor } from "./cursors.js";
import { Dropped, FeedStopped } from "./endings.js";
import { pause, rest, within } from "./timing.js";

const GAPS = ["cursor_too_old", "other_epoch"];
export const CREDENTIAL = /^[\w.-]{1,200}$/;

/**
 * The line to the server over many connections: who connects, greets, waits and comes back.
 *
 * @typedef {import("../types/index.d.ts").State} State
 *
 * @typedef {{ connection?: import("./connections.js").Connection, isOver?: boolean }} Attempt
 *
 * @typedef {object} Plan
 * @property {string} address
 * @property {import("./connections.js").Kind} kind
 * @property {string} [token]
 * @property {() => string | Promise<string>} [getTicket]
 * @property {Record<string, string>} place - where to begin without a cursor
 * @property {Record<string, string>} wish - filters
 * @property {"stop" | "oldest" | ((gap: any) => boolean | Promise<boolean>)} onGap
 * @property {import("../types/index.d.ts").Timing} timing
 * @property {() => number} random
 * @property {AbortSignal} signal
 * @property {(name: string, detail: object) => void} tell
 */
export class Line {
  /** @type {State} */
  state = "idle";
  /** The latest cursor that a server has mentioned. @type {string | undefined} */
  newest;
  /** @type {import("./connections.js").Connection | undefined} */
  #connection;
  /** @type {FeedStopped | undefined} */
  #stopped;
  #silence = 0;
  #failures = 0;
  #waitUntil = 0;
  #notBefore = 0;
  #liveSince = 0;
  #hasRenewed = false;
  #hasHurried = false;
  /** Up to where the owner has agreed to a gap. @type {string | undefined} */
  #passes;
  #plan;
  #ledger;

  /**
   * @param {Plan} plan
   * @param {import("./ledger.js").Ledger} ledger
   */
  constructor(plan, ledger) {
    this.#plan = plan;
    this.#ledger = ledger;
  }

  /** The next message; connects and comes back as often as it takes. */
  async receive() {
    for (;;) {
      if (this.#stopped) throw this.#stopped;
      try {
        if (!this.#connection) await this.#reconnect();
        if (this.#connection)
          return await this.#heard(this.#connection.receive(), this.#silence, "nothing came for too long");
      } catch (error) {
        if (!(error instanceof Dropped)) throw error;
        await this.drop(error);
      }
    }
  }

  /**
   * Give the connection up, and decide what comes then.
   *
   * @param {Dropped} end
   */
  async drop(end) {
    this.#hangUp();
    const { timing, random } = this.#plan;
    const now = Date.now();
    if (this.#liveSince && now - this.#liveSince >= timing.steadyMs) {
      this.#failures = 0;
      this.#hasRenewed = this.#hasHurried = false;
    }
    this.#liveSince = 0;
    if (end.isFinal && !(await this.#mayGoOn(end))) {
      this.#stop(end.asStop());
      return;
    }
    this.#waitUntil = now + pause(this.#failures++, random(), timing);
    this.#notBefore = now + end.retryAfter * 1000;
    this.#enter("waiting", end.message);
  }

  caughtUp() {
    this.#liveSince ||= Date.now();
    this.#enter("live");
  }

  /** @param {string} cursor */
  acknowledge(cursor) {
    this.#connection?.acknowledge(cursor);
  }

  close() {
    this.#hangUp();
    if (!this.#stopped) this.#enter("idle");
  }

  /** @param {FeedStopped} why */
  #stop(why) {
    this.#stopped = why;
    this.#enter("stopped", why.message);
    return why;
  }

  #hangUp() {
    this.#connection?.close();
    this.#connection = undefined;
  }

  /**
   * @template Value
   * @param {Promise<Value>} promise
   * @param {number} ms
   * @param {string} why
   */
  #heard(promise, ms, why) {
    return within(promise, ms, why, this.#plan.signal);
  }

  async #reconnect() {
    await this.#wait();
    this.#enter("connecting");
    /** @type {Attempt} */
    const attempt = {};
    try {
      const { helloMs, silence } = this.#plan.timing;
      const hello = await this.#heard(this.#greeted(attempt), helloMs, "the server did not greet in time");
      if (hello.type !== "hello") throw new Dropped("the server did not greet");
      await this.#agreeOnPlace(hello);
      this.newest = hello.newest;
      this.#silence = silence * 1000 * (hello.limits?.heartbeat_s || 20);
    } catch (error) {
      attempt.isOver = true;
      attempt.connection?.close();
      throw error;
    }
    this.#connection = attempt.connection;
    this.#enter("catching_up");
  }

  async #wait() {
    const now = Date.now();
    const [ms, atLeastMs] = [this.#waitUntil - now, this.#notBefore - now];
    if (ms <= 0 && atLeastMs <= 0) return;
    const cut = await rest(ms, atLeastMs, !this.#hasHurried, this.#plan.signal);
    this.#hasHurried ||= cut;
  }

  /** @param {Attempt} attempt */
  async #greeted(attempt) {
    const opening = await this.#opening();
    if (attempt.isOver) throw new Dropped("too late");
    attempt.connection = open(this.#plan.kind, opening);
    await attempt.connection.opened;
    if (!attempt.isOver) this.#enter("greeting");
    return attempt.connection.receive();
  }

  async #opening() {
    const { address, token, getTicket, wish, place, kind, onGap } = this.#plan;
    const { position } = this.#ledger;
    const query = { ...(position ? { cursor: position } : place), ...wish };
    if (kind !== "poll" && (onGap === "oldest" || this.#passes)) query.on_gap = "oldest";
    return { address, query, token, ticket: getTicket && (await this.#ticket(getTicket)) };
  }

  /** @param {() => string | Promise<string>} getTicket */
  async #ticket(getTicket) {
    let ticket;
    try {
      ticket = await getTicket();
    } catch (error) {
      if (error instanceof FeedStopped)
        throw new Dropped(error.message, { problem: { ...error, message: error.message, close: 4501 } });
      // A network that is away is the likely cause; the state tells the owner.
      throw new Dropped(`no ticket could be had: ${/** @type {any} */ (error)?.message}`);
    }
    if (typeof ticket !== "string" || !CREDENTIAL.test(ticket)) throw new TypeError("getTicket did not give a ticket");
    return ticket;
  }

  /**
   * Begin where the server says; that is where this client is, unless the owner has agreed to a gap.
   *
   * @param {any} hello
   */
  async #agreeOnPlace({ cursor, gap }) {
    if (gap && !(await this.#isPassed(gap))) {
      const message = `events after ${gap.from} up to ${gap.to} can no longer be had`;
      const close = gap.reason === "other_epoch" ? 4511 : 4510;
      throw this.#stop(new FeedStopped({ code: gap.reason, message, close, oldest: gap.to }));
    }
    this.#passes = undefined;
    if (gap || !this.#ledger.position) await this.#ledger.beginAt(cursor);
  }

  /**
   * Whether the owner's word or a new ticket makes coming back worth while.
   *
   * @param {Dropped} end
   */
  async #mayGoOn({ close, problem }) {
    if (close === 4501 && this.#plan.getTicket && !this.#hasRenewed) {
      this.#hasRenewed = true;
      return true;
    }
    if (!problem || !GAPS.includes(problem.code) || !isCursor(problem.oldest)) return false;
    const from = this.#ledger.position ?? this.#plan.place.since ?? null;
    if (!(await this.#isPassed({ reason: problem.code, from, to: problem.oldest }))) return false;
    // A poll's answer has no room for a gap, so the place is set beforehand.
    if (this.#plan.kind === "poll") await this.#ledger.beginAt(problem.oldest);
    return true;
  }

  /**
   * Tell the owner of a gap, once, and return whether to go on.
   *
   * @param {any} gap
   */
  async #isPassed(gap) {
    if (this.#passes === gap.to) return true;
    this.#plan.tell("gap", gap);
    const { onGap } = this.#plan;
    const agreed = typeof onGap === "function" ? await onGap(gap) : onGap === "oldest";
    this.#passes = agreed ? gap.to : undefined;
    return agreed;
  }

  /**
   * @param {import("../types/index.d.ts").State} state
   * @param {string} [why]
   */
  #enter(state, why = "") {
    if (state === this.state) return;
    this.state = state;
    this.#plan.tell("state", { state, why });
  }
}
