import { epoch, isCursor, seq } from "./cursors.js";
import { Dropped } from "./endings.js";
import { Ledger } from "./ledger.js";
import { CREDENTIAL, Line } from "./line.js";
import { memoryStore } from "./stores.js";
import { TIMING } from "./timing.js";

/**
 * @typedef {import("../types/index.d.ts").FeedOptions} FeedOptions
 * @typedef {import("../types/index.d.ts").FeedEvent} FeedEvent
 */

const ENDING = /^(.*\/v1)(\/(ws|sse|poll|ticket)?)?$/;
const TRANSPORTS = ["auto", "ws", "sse", "poll"];

/**
 * The feed's address over HTTP, without the transport's name.
 *
 * @param {string | URL} given
 */
export function feedAddress(given) {
  const url = new URL(given, globalThis.location?.href);
  const [, path] = ENDING.exec(url.pathname) ?? [];
  const scheme = /^(http|ws)s?:$/.test(url.protocol);
  if (!scheme || !path) throw new TypeError("url is a feed's address, such as https://shop.example/referrals/feed/v1");
  if (url.username || url.password || url.search || url.hash) {
    throw new TypeError("url carries no parameters and no password: they have options of their own");
  }
  return `${url.protocol.replace("ws", "http")}//${url.host}${path}`;
}

/**
 * Refuse what cannot be meant, with a word on what can.
 *
 * @param {FeedOptions} options
 * @param {import("./connections.js").Kind} kind
 */
function checkOptions({ token, getTicket, start, since, onGap = "stop", transport = "auto" }, kind) {
  /** @type {[boolean, string][]} */
  const rules = [
    [!token === !getTicket, "give a token or getTicket: one of the two"],
    [!!token && !CREDENTIAL.test(token), "a token consists of letters, digits, _, . and - only"],
    [!TRANSPORTS.includes(transport), `transport is one of ${TRANSPORTS}`],
    [kind === "ws" && !getTicket, "a WebSocket cannot send a token: give getTicket, or use another transport"],
    [kind === "ws" && !globalThis.WebSocket, "there is no WebSocket here: use another transport"],
    [kind === "poll" && !token, "a ticket opens one connection, and each poll is one: give a token"],
    [!!start && !["newest", "oldest"].includes(start) && !isCursor(start), "start is newest, oldest or a cursor"],
    [!!start && !!since, "give start or since, not both"],
    [typeof onGap !== "function" && !["stop", "oldest"].includes(onGap), "onGap is stop, oldest or a function"],
  ];
  const broken = rules.find(([isBroken]) => isBroken);
  if (broken) throw new TypeError(broken[1]);
}

/** @param {FeedOptions} options */
function filters({ types, links }) {
  return { ...(types && { types: [...types].join() }), ...(links && { links: [...links].join() }) };
}

/**
 * @param {FeedOptions} options
 * @returns {Record<string, string>}
 */
function beginning({ start = "newest", since }) {
  return since ? { since: since instanceof Date ? since.toISOString() : since } : { cursor: start };
}

export class Feed extends EventTarget {
  #ending = new AbortController();
  #ledger;
  #line;
  #signal;
  /** @type {Promise<void> | undefined} */
  #loaded;
  /** @type {import("./ledger.js").Batch | undefined} */
  #batch;
  /** @type {any[]} */
  #toHandOut = [];
  /** @type {any} */
  #inHand;
  #levelAt = Date.now();
  #isHandling = true;

  /** @param {FeedOptions} options */
  constructor(options) {
    super();
    const {
      url,
      token,
      getTicket,
      store = memoryStore(),
      onGap = "stop",
      signal,
      timing,
      random = Math.random,
    } = options;
    const { transport = "auto" } = options;
    const kind = transport === "auto" ? (getTicket && globalThis.WebSocket ? "ws" : "sse") : transport;
    checkOptions(options, kind);
    this.#signal = signal;
    this.#ledger = new Ledger(store, (cursor) => this.#line.acknowledge(cursor));
    this.#line = new Line(
      {
        address: feedAddress(url),
        kind,
        token,
        getTicket,
        place: beginning(options),
        wish: filters(options),
        onGap,
        timing: { ...TIMING, ...timing },
        random,
        signal: this.#ending.signal,
        tell: (name, detail) => this.dispatchEvent(new CustomEvent(name, { detail })),
      },
      this.#ledger,
    );
    signal?.addEventListener("abort", this.#abort);
    if (signal?.aborted) this.#abort();
  }

  get state() {
    return this.#line.state;
  }

  get cursor() {
    return this.#ledger.settled;
  }

  get lag() {
    const { newest } = this.#line;
    const { settled } = this.#ledger;
    const isBehind = newest && settled && epoch(newest) === epoch(settled) && seq(newest) > seq(settled);
    if (!this.#isHandling && this.state === "live") this.#levelAt = Date.now();
    return {
      events: isBehind ? Number(seq(newest) - seq(settled)) : 0,
      seconds: (Date.now() - this.#levelAt) / 1000,
    };
  }

  [Symbol.asyncIterator]() {
    // Begin with the event at which the last loop was left, if it is not done.
    if (this.#inHand) this.#toHandOut.unshift(this.#inHand);
    this.#inHand = undefined;
    return this.#iterator(() => this.#nextEvent());
  }

  batches() {
    this.#toHandOut = [];
    this.#inHand = undefined;
    const undone = [...this.#ledger.outstanding];
    const iterator = this.#iterator(async () => undone.shift() ?? this.#nextBatch());
    return { [Symbol.asyncIterator]: () => iterator };
  }

  async done() {
    if (!this.#inHand || !this.#batch) return;
    await this.#ledger.settle(this.#batch, this.#toHandOut.length ? this.#inHand.cursor : undefined);
    this.#inHand = undefined;
  }

  async close() {
    this.#ending.abort();
    this.#signal?.removeEventListener("abort", this.#abort);
    this.#line.close();
  }

  #abort = () => {
    this.#ending.abort();
    this.#line.close();
  };

  /**
   * @template Value
   * @param {() => Promise<Value>} next
   * @returns {AsyncIterator<Value, undefined>}
   */
  #iterator(next) {
    /** @type {IteratorReturnResult<undefined>} */
    const over = { done: true, value: undefined };
    return {
      next: async () => {
        try {
          this.#signal?.throwIfAborted();
          this.#ending.signal.throwIfAborted();
          return { done: false, value: await next() };
        } catch (error) {
          // The loop is left without a word to this iterator.
          this.#line.close();
          this.#signal?.throwIfAborted();
          if (error !== this.#ending.signal.reason) throw error;
          return over; // closed by the owner
        }
      },
      return: async () => {
        await this.close();
        return over;
      },
    };
  }

  async #nextEvent() {
    await this.done();
    while (!this.#toHandOut.length) {
      this.#batch = await this.#nextBatch();
      this.#toHandOut = [...this.#batch.events];
    }
    this.#inHand = this.#toHandOut.shift();
    return this.#inHand;
  }

  async #nextBatch() {
    this.#loaded ??= this.#ledger.load();
    await this.#loaded;
    this.#isHandling = false;
    try {
      for (;;) {
        const batch = await this.#take(await this.#line.receive());
        if (batch) return batch;
      }
    } finally {
      if (this.state === "live") this.#levelAt = Date.now();
      this.#isHandling = true;
    }
  }

  /** @param {any} message */
  async #take(message) {
    if (message.type === "caught_up") this.#line.caughtUp();
    if (message.type === "hello") await this.#line.drop(new Dropped("the server greeted twice"));
    if (!message.prev) return undefined;
    this.#line.newest = message.cursor;
    let batch;
    try {
      batch = this.#ledger.take(message);
    } catch (error) {
      if (!(error instanceof Dropped)) throw error;
      await this.#line.drop(error);
      return undefined;
    }
    if (!batch) await this.#ledger.passOver();
    return batch;
  }
}
