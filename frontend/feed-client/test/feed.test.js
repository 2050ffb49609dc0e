import assert from "node:assert/strict";
import { test } from "node:test";
import { connectFeed, memoryStore } from "../src/index.js";
import { eventually, SERVER, SKIP } from "./server.js";

const options = { skip: SKIP, timeout: 60_000 };

/**
 * A feed of this script.
 *
 * @param {string} name
 * @param {Partial<import("../types/index.d.ts").FeedOptions>} [more]
 */
async function feedOf(name, more = {}) {
  const { url } = await (await fetch(`${SERVER}/runs/${encodeURIComponent(name)}`, { method: "POST" })).json();
  return connectFeed({ url, token: "lrf_a_b", timing: { baseMs: 10 }, ...more });
}

test("the event at which a loop is left is not stored, unless it is done", options, async () => {
  for (const isDone of [false, true]) {
    const store = memoryStore("k3f9.10");
    const feed = await feedOf("three events", { store });
    for await (const event of feed) {
      if (event.cursor !== "k3f9.12") continue;
      if (isDone) await feed.done();
      break;
    }
    assert.equal(await store.load(), isDone ? "k3f9.12" : "k3f9.11");
    assert.equal(feed.state, "idle");
  }
});

test("a handler that throws stops before the store", options, async () => {
  const store = memoryStore("k3f9.10");
  const feed = await feedOf("three events", { store });
  const handling = (async () => {
    for await (const event of feed) if (event.cursor === "k3f9.12") throw new Error("the books are closed");
  })();
  await assert.rejects(handling, /the books are closed/);
  assert.equal(await store.load(), "k3f9.11");
});

test("batches are stored when they are done, and one stands for all before it", options, async () => {
  const store = memoryStore("k3f9.10");
  const feed = await feedOf("two batches", { store });
  const taken = [];
  for await (const batch of feed.batches()) {
    taken.push(batch);
    if (taken.length < 2) continue;
    assert.equal(await store.load(), "k3f9.10");
    await batch.done();
    await taken[0]?.done();
    assert.equal(await store.load(), "k3f9.14");
    break;
  }
  assert.deepEqual(
    taken.map(({ events }) => events.length),
    [2, 1],
  );
});

test("a store that fails ends the loop, and nothing is taken for stored", options, async () => {
  const store = { load: () => "k3f9.10", save: () => Promise.reject(new Error("the disk is full")) };
  const feed = await feedOf("three events", { store });
  const reading = (async () => {
    for await (const _ of feed);
  })();
  await assert.rejects(reading, /the disk is full/);
  assert.equal(feed.cursor, "k3f9.10");
});

test("states are told, and the lag ends when the feed is live", options, async () => {
  const feed = await feedOf("three events", { store: memoryStore("k3f9.10") });
  /** @type {string[]} */
  const states = [];
  feed.addEventListener("state", ({ detail }) => states.push(detail.state));
  const reading = (async () => {
    for await (const _ of feed);
  })();
  await eventually(() => feed.state === "live" && feed.cursor === "k3f9.13");
  assert.deepEqual(feed.lag, { events: 0, seconds: 0 });
  await feed.close();
  await reading;
  assert.deepEqual(states, ["connecting", "greeting", "catching_up", "live", "idle"]);
});

test("a signal ends the loop with its reason", options, async () => {
  const ending = new AbortController();
  const feed = await feedOf("three events", { signal: ending.signal, store: memoryStore("k3f9.10") });
  const reading = (async () => {
    for await (const _ of feed);
  })();
  await eventually(() => feed.state === "live");
  ending.abort(new Error("the page is left"));
  await assert.rejects(reading, /the page is left/);
  await assert.rejects(feed[Symbol.asyncIterator]().next(), /the page is left/);
});

test("a feed that has stopped stays stopped", options, async () => {
  const feed = await feedOf("stopped", { store: memoryStore("k3f9.10") });
  const events = feed[Symbol.asyncIterator]();
  await assert.rejects(events.next(), { name: "FeedStopped", code: "forbidden", close: 4503 });
  await assert.rejects(events.next(), { name: "FeedStopped", code: "forbidden" });
  assert.equal(feed.state, "stopped");
});

test("a ticket source that fails is asked again, and one that gives nonsense is told so", options, async () => {
  let calls = 0;
  const store = memoryStore("k3f9.10");
  const getTicket = () => {
    calls += 1;
    if (calls < 3) throw new TypeError("Failed to fetch");
    return "lrt_1";
  };
  const feed = await feedOf("three events", { token: undefined, getTicket, store });
  for await (const _ of feed) break;
  assert.equal(calls, 3);
  const broken = await feedOf("three events", { token: undefined, getTicket: () => "a b", store });
  await assert.rejects(broken[Symbol.asyncIterator]().next(), TypeError);
});
