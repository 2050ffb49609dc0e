import assert from "node:assert/strict";
import { test } from "node:test";

import { describe } from "../src/wording.js";

const TEXTS = {
  textLive: "Live",
  textConnecting: "Connecting",
  textOffline: "Not live since {time}",
  textRetry: "trying again in {n} s",
  textRetrying: "trying again",
  textPolling: "Updating every {n} s",
  textCrowded: "Too many open tabs, updating every {n} s",
  textBehind: "{n} s behind",
  textPaused: "Paused at {time}",
  textWaiting: "{n} new",
  textEnded: "Signed out",
  textRefused: "You may no longer see this page",
  textFailed: "Not live",
};
const MOMENT = Date.UTC(2026, 10, 21, 9, 4, 31);
const CONTEXT = { now: MOMENT, texts: TEXTS, place: { language: "en-GB", zone: "Europe/Berlin" } };
const CONNECTION = { stage: /** @type {const} */ ("live"), misses: 0, code: 0, retryAt: 0, lostAt: 0 };
const FACTS = { connection: CONNECTION, polling: null, pause: null, waiting: 0, lag: 0, since: MOMENT };

/**
 * @param {Partial<import("../src/connection.js").ConnectionState>} connection
 * @param {Partial<import("../src/wording.js").Facts>} [facts]
 */
function describing(connection, facts = {}) {
  return describe({ ...FACTS, ...facts, connection: { ...CONNECTION, ...connection } }, CONTEXT);
}

test("live is one word", () => {
  assert.deepEqual(describing({}), { state: "live", text: "Live", said: "Live" });
});

test("cut off: since when, on the server's clock and zone, and when the next attempt is made", () => {
  const wording = describing({ stage: "waiting", code: 1006, retryAt: MOMENT + 3200 });
  assert.equal(wording.text, "Not live since 10:04:31 · trying again in 4 s");
  assert.equal(wording.said, "Not live since 10:04:31");
  assert.equal(wording.retry, true);
});

test("a countdown that has run out is never negative", () => {
  const wording = describing({ stage: "waiting", code: 1006, retryAt: MOMENT - 5000 });
  assert.equal(wording.text, "Not live since 10:04:31 · trying again");
});

test("the first attempt is no loss, the second is", () => {
  assert.equal(describing({ stage: "connecting" }).state, "connecting");
  assert.equal(describing({ stage: "connecting", code: 1006 }).state, "offline");
});

// dashboard-18
test("polling that works is said, and why there is no socket", () => {
  const polling = { ok: true, interval: 5000 };
  assert.equal(describing({ stage: "waiting", code: 1006 }, { polling }).text, "Updating every 5 s");
  const crowded = describing({ stage: "waiting", code: 4029 }, { polling: { ok: true, interval: 15_000 } });
  assert.equal(crowded.text, "Too many open tabs, updating every 15 s");
});

test("polling that fails too is no connection", () => {
  assert.equal(
    describing({ stage: "waiting", code: 1006 }, { polling: { ok: false, interval: 5000 } }).state,
    "offline",
  );
});

// dashboard-19
test("a pause says since when and how much is new; only its beginning is announced", () => {
  const wording = describing({}, { pause: { at: MOMENT }, waiting: 214 });
  assert.equal(wording.text, "Paused at 10:04:31 · 214 new");
  assert.equal(wording.said, "Paused at 10:04:31");
});

test("a pause does not hide that the connection is lost", () => {
  assert.equal(describing({ stage: "waiting", code: 1006 }, { pause: { at: MOMENT } }).state, "offline");
});

test("a lag of seconds is said", () => {
  assert.equal(describing({}, { lag: 12.3 }).text, "12 s behind");
  assert.equal(describing({}, { lag: 0.8 }).text, "Live");
});

test("each end has its own words", () => {
  assert.equal(describing({ stage: "ended", code: 4501 }).text, "Signed out");
  assert.equal(describing({ stage: "ended", code: 4503 }).text, "You may no longer see this page");
  assert.equal(describing({ stage: "ended", code: 4500 }).text, "Not live");
});
