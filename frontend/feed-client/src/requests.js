import { Dropped, final } from "./endings.js";
import { check, parse } from "./messages.js";

/** @typedef {import("./connections.js").Opening} Opening */

const WAIT_S = 25;
const PACE_MS = 300; // a server takes four polls a second
const MAX_MESSAGE = 4 * 2 ** 20;

/**
 * Ask, and refuse what is no answer of a feed.
 *
 * @param {Opening} opening
 * @param {string} transport
 * @param {Record<string, string>} query
 * @param {string} accepted
 * @param {AbortSignal} signal
 */
async function ask({ address, token, ticket }, transport, query, accepted, signal) {
  const parameters = new URLSearchParams(ticket ? { ...query, ticket } : query);
  /** @type {Response} */
  let response;
  try {
    response = await fetch(`${address}/${transport}?${parameters}`, {
      headers: { Accept: accepted, ...(token ? { Authorization: `Bearer ${token}` } : {}) },
      cache: "no-store",
      credentials: "omit",
      redirect: "manual", // so that no token goes where nobody has sent it
      signal,
    });
  } catch (error) {
    throw unreachable(error);
  }
  if (response.ok && response.headers.get("Content-Type")?.startsWith(accepted)) return response;
  throw await refusal(response);
}

/** @param {unknown} error */
function unreachable(error) {
  // Never the address, which may hold a ticket.
  const cause = /** @type {any} */ (error)?.cause;
  return new Dropped(`the server cannot be reached (${cause?.code ?? /** @type {any} */ (error)?.name})`);
}

/** @param {Response} response */
async function refusal(response) {
  const { ok, status, type } = response;
  const retryAfter = Number(response.headers.get("Retry-After")) || 0;
  const text = await response.text().catch(() => "");
  if (ok) return final("not_a_feed", "the server answered with something else than a feed");
  /** @type {any} */
  let problem;
  try {
    problem = check(JSON.parse(text));
  } catch {
    // Somebody else's error page: then the status alone counts.
  }
  if (problem?.type === "error") return new Dropped(problem.message, { problem, retryAfter });
  if (status >= 500 || [408, 425, 429].includes(status))
    return new Dropped(`the server answered ${status}`, { retryAfter });
  if (type === "opaqueredirect") return final("http_302", "the server redirects: use the final address");
  return final(`http_${status}`, `the server answered ${status}; is the address right?`);
}

/** The feed over Server-Sent Events, read through `fetch`, which can send a header. */
export class StreamConnection {
  #rest = "";
  /** @type {string[]} */
  #data = [];
  /** What has come; something broken is the last of it. @type {any[]} */
  #messages = [];
  #retryAfter = 0;
  #ending = new AbortController();
  #decoder = new TextDecoder();
  /** @type {ReadableStreamDefaultReader<Uint8Array> | undefined} */
  #reader;

  /** @param {Opening} opening */
  constructor(opening) {
    this.opened = ask(opening, "sse", opening.query, "text/event-stream", this.#ending.signal).then((response) => {
      this.#reader = response.body?.getReader();
    });
  }

  async receive() {
    while (!this.#messages.length) await this.#read();
    const message = this.#messages.shift();
    if (message instanceof Error) throw message;
    return message;
  }

  acknowledge() {} // this transport has none

  close() {
    this.#ending.abort();
  }

  async #read() {
    /** @type {ReadableStreamReadResult<Uint8Array> | undefined} */
    let found;
    try {
      found = await this.#reader?.read();
    } catch (error) {
      throw unreachable(error);
    }
    if (!found || found.done) throw new Dropped("the stream ended", { retryAfter: this.#retryAfter });
    // A carriage return at the end of what has come may be half of a line's end.
    const lines = (this.#rest + this.#decoder.decode(found.value, { stream: true })).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > MAX_MESSAGE) throw new Dropped("the server sent a message without an end");
    for (const line of lines) this.#take(line);
  }

  /** @param {string} line */
  #take(line) {
    if (line.startsWith("data:")) this.#data.push(line.slice(line[5] === " " ? 6 : 5));
    if (line || !this.#data.length) return;
    try {
      const message = parse(this.#data.splice(0).join("\n"));
      if (message?.type === "error") throw new Dropped(message.message, { problem: message });
      if (message?.type === "goodbye") this.#retryAfter = message.retry_after_s ?? 0;
      else if (message) this.#messages.push(message);
    } catch (error) {
      this.#messages.push(error);
    }
  }
}

/** The feed by long polls, shown as a connection like the others. */
export class PollConnection {
  opened = Promise.resolve();
  #opening;
  /** @type {string | undefined} */
  #cursor;
  /** @type {any[]} */
  #messages = [];
  #isLive = false;
  #nextAt = 0;
  #ending = new AbortController();

  /** @param {Opening} opening */
  constructor(opening) {
    this.#opening = opening;
  }

  async receive() {
    while (!this.#messages.length) {
      await new Promise((resolve) => setTimeout(resolve, this.#nextAt - Date.now()));
      this.#nextAt = Date.now() + PACE_MS;
      await this.#poll();
    }
    return this.#messages.shift();
  }

  acknowledge() {} // the next poll's cursor says it

  close() {
    this.#ending.abort();
  }

  async #poll() {
    /** @type {Record<string, string>} */
    const asked = { ...this.#opening.query, wait: String(this.#cursor ? WAIT_S : 0) };
    if (this.#cursor) {
      delete asked.since;
      asked.cursor = this.#cursor;
    }
    const response = await ask(this.#opening, "poll", asked, "application/json", this.#ending.signal);
    const text = await response.text().catch((error) => {
      throw unreachable(error);
    });
    const message = parse(text);
    if (message?.type !== "events")
      throw final("not_a_feed", "the server answered a poll with something else than events");
    const { prev, cursor, more, newest = cursor } = message;
    if (!this.#cursor) {
      const limits = { heartbeat_s: WAIT_S };
      this.#messages.push({ type: "hello", cursor: prev, newest, limits });
    }
    this.#cursor = cursor;
    this.#messages.push(message);
    if (!more && !this.#isLive) {
      this.#isLive = true;
      this.#messages.push({ type: "caught_up", cursor });
    }
  }
}
