import assert from "node:assert/strict";
import { test } from "node:test";
import { isCursor, isLater } from "../src/cursors.js";
import { feedAddress } from "../src/feed.js";
import { connectFeed, memoryStore } from "../src/index.js";
import { parse } from "../src/messages.js";
import { pause, rest, TIMING, within } from "../src/timing.js";

test("cursors are compared beyond the numbers that a double holds", () => {
  assert.ok(isLater("k3f9.9007199254740993", "k3f9.9007199254740992"));
  assert.ok(isLater("k3f9.10", "k3f9.9"));
  assert.ok(!isLater("k3f9.9", "k3f9.9"));
  assert.ok(!isLater("zz99.10", "k3f9.9"));
});

test("what is no cursor is not taken for one", () => {
  for (const text of [
    "",
    ".",
    "a.",
    ".1",
    "k3f9.-1",
    "k3f9.01",
    "k3f9.1e3",
    "k3f9.９",
    "k3f9.9223372036854775808",
    "k3f9.1\n",
    null,
    1,
  ]) {
    assert.ok(!isCursor(text), String(text));
  }
  assert.ok(isCursor("k3f9.9223372036854775807"));
});

test("waits grow to their cap, with full jitter", () => {
  assert.deepEqual(
    [0, 1, 2, 6, 7, 5000].map((failures) => pause(failures, 1, TIMING)),
    [500, 1000, 2000, 32_000, 60_000, 60_000],
  );
  assert.equal(pause(3, 0, TIMING), 0);
});

test("a wait can be ended, and so can what takes too long", async () => {
  const ending = new AbortController();
  const never = new Promise(() => {});
  await assert.rejects(within(never, 5, "too long", ending.signal), /too long/);
  const resting = rest(60_000, 0, true, ending.signal);
  const waiting = within(never, 60_000, "too long", ending.signal);
  ending.abort(new Error("over"));
  await assert.rejects(resting, /over/);
  await assert.rejects(waiting, /over/);
  await assert.rejects(rest(0, 0, true, ending.signal), /over/);
});

test("unknown messages are nothing, broken ones an end", () => {
  assert.equal(parse('{"type":"weather"}'), undefined);
  assert.equal(parse('{"type":"toString"}'), undefined);
  for (const text of ["", "[]", "null", "{}", '{"type":1}', '{"type":"hello"}', '{"type":"error","code":"x"}']) {
    assert.throws(() => parse(text), { name: "Error" }, text);
  }
});

test("addresses of all forms mean the same feed", () => {
  for (const url of ["https://a.example/x/feed/v1", "wss://a.example/x/feed/v1/ws", "https://a.example/x/feed/v1/"]) {
    assert.equal(feedAddress(url), "https://a.example/x/feed/v1");
  }
});

for (const [name, options] of Object.entries({
  "another address": { url: "https://a.example/", token: "t" },
  "a token in the address": { url: "https://a.example/feed/v1?token=t", token: "t" },
  "a password in the address": { url: "https://u:p@a.example/feed/v1", token: "t" },
  "no credential": { url: "https://a.example/feed/v1" },
  "two credentials": { url: "https://a.example/feed/v1", token: "t", getTicket: () => "t" },
  "a token with a line break": { url: "https://a.example/feed/v1", token: "t\r\nX: y" },
  "a token over a WebSocket": { url: "https://a.example/feed/v1", token: "t", transport: "ws" },
  "tickets for polls": { url: "https://a.example/feed/v1", getTicket: () => "t", transport: "poll" },
  "an unknown transport": { url: "https://a.example/feed/v1", token: "t", transport: "pigeon" },
  "an unknown start": { url: "https://a.example/feed/v1", token: "t", start: "yesterday" },
  "start and since": { url: "https://a.example/feed/v1", token: "t", start: "oldest", since: new Date() },
  "an unknown policy": { url: "https://a.example/feed/v1", token: "t", onGap: "ignore" },
})) {
  test(`${name} is refused at once`, () => {
    assert.throws(() => connectFeed(/** @type {any} */ (options)), TypeError);
  });
}

test("memory keeps what it is given", async () => {
  const store = memoryStore("k3f9.1");
  await store.save("k3f9.2");
  assert.equal(await store.load(), "k3f9.2");
});
