import { isDeepStrictEqual } from "node:util";
import { connectFeed, FeedStopped, memoryStore } from "../src/index.js";
import { cursor, eventually, SERVER } from "./server.js";

/**
 * Plays a scenario and says what came of it in the words of `scenarios.json`.
 *
 * @typedef {Record<string, any>} Scenario
 */

const QUICK = { baseMs: 20, capMs: 100 };

/**
 * @param {any} value
 * @returns {any}
 */
const places = (value) =>
  Array.isArray(value) ? value.map(places) : typeof value === "number" ? cursor(value) : value;

/**
 * The scenario's expectation in full.
 *
 * @param {Scenario} scenario
 * @param {string} transport
 */
function expectation({ expect }, transport) {
  /** @type {Record<string, any>} */
  const told = { stopped: null, ...expect };
  for (const name of ["events", "asked", "gaps", "stored", "oldest"]) if (name in told) told[name] = places(told[name]);
  if ("acked" in told) told.acked = [cursor(told.acked)];
  if ("query" in told) told.query = told.asked.map(() => told.query);
  if (transport !== "ws") delete told.acked;
  // Polls are many to a connection: where each begins is its own cursor.
  if (transport === "poll") for (const name of ["asked", "query", "on_gap"]) delete told[name];
  return told;
}

/**
 * @param {Scenario} scenario
 * @param {number} number
 * @param {import("../types/index.d.ts").Transport} transport
 */
export async function play(scenario, number, transport) {
  const { url } = await (await fetch(`${SERVER}/runs/${number}`, { method: "POST" })).json();
  const base = url.replace("/feed/v1", "");
  const given = scenario.client;
  const expected = expectation(scenario, transport);
  const store = memoryStore("cursor" in given ? cursor(given.cursor) : null);
  /** @type {{ events: string[], types: string[], gaps: any[], stop: FeedStopped | null, failure: unknown }} */
  const seen = { events: [], types: [], gaps: [], stop: null, failure: null };
  const feed = connectFeed({
    url,
    store,
    transport,
    // A WebSocket of this language sends no header, so it is played with tickets.
    ...(given.ticket || transport === "ws" ? { getTicket: () => ticket(url) } : { token: "lrf_abc_def" }),
    ...("start" in given && { start: given.start }),
    ...("since" in given && { since: given.since }),
    types: given.types,
    links: given.links,
    onGap: given.on_gap === "agree" || given.on_gap === "refuse" ? decide : (given.on_gap ?? "stop"),
    timing: { ...QUICK, ...("timing" in given && { helloMs: given.timing.hello_s * 1000 }) },
  });

  /** @param {import("../types/index.d.ts").Gap} gap */
  function decide(gap) {
    seen.gaps.push([gap.reason, gap.from, gap.to]);
    return given.on_gap === "agree";
  }

  async function outcome() {
    const { asked } = await (await fetch(`${base}/report`)).json();
    /** @type {Record<string, any>} */
    const found = {
      events: seen.events,
      types: seen.types,
      gaps: seen.gaps,
      stored: await store.load(),
      stopped: seen.stop?.code ?? null,
      oldest: seen.stop?.oldest ?? null,
      asked: asked.map((/** @type {any} */ one) => one.query.cursor ?? null),
      on_gap: asked.map((/** @type {any} */ one) => one.query.on_gap ?? null),
      tickets: asked.map((/** @type {any} */ one) => one.ticket),
      acked: asked.at(-1)?.acks.slice(-1),
      query: asked.map((/** @type {any} */ { query }) => ({ types: query.types ?? null, links: query.links ?? null })),
    };
    return Object.fromEntries(Object.keys(expected).map((name) => [name, found[name]]));
  }

  let isOver = false;
  const consuming = (async () => {
    try {
      for await (const event of feed) {
        seen.events.push(event.cursor);
        seen.types.push(event.type);
      }
    } catch (error) {
      if (error instanceof FeedStopped) seen.stop = error;
      else seen.failure = error;
    }
    isOver = true;
  })();
  await eventually(
    async () => isOver || (!("stopped" in scenario.expect) && isDeepStrictEqual(await outcome(), expected)),
  );
  await feed.close();
  await consuming;
  if (seen.failure) throw seen.failure;
  return { found: await outcome(), expected };
}

/** @param {string} url */
async function ticket(url) {
  return (await (await fetch(`${url}/ticket`, { method: "POST" })).json()).ticket;
}
