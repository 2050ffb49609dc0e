import assert from "node:assert/strict";
import { test } from "node:test";

import * as clock from "../src/clock.js";
import { ago, atClock, fill } from "../src/times.js";

test("how long ago, in the page's language", () => {
  assert.equal(ago(0, 5_000, "en"), "5 seconds ago");
  assert.equal(ago(0, 0, "en"), "now");
  assert.equal(ago(0, 3 * 60_000 + 59_000, "en"), "3 minutes ago");
  assert.equal(ago(0, 86_400_000, "de"), "gestern");
});

test("nothing happens in the future, whatever the clocks say", () => {
  assert.equal(ago(9_000, 0, "en"), "now");
});

test("a clock shows the server's zone", () => {
  const moment = Date.UTC(2026, 6, 1, 22, 30, 5);
  assert.equal(atClock(moment, { language: "en-GB", zone: "Asia/Kathmandu" }), "04:15:05");
});

test("texts are filled by name", () => {
  assert.equal(fill("{n} of {m} {other}", { n: 1, m: 2 }), "1 of 2 {other}");
});

// dashboard-31
test("time is the server's, however wrong this computer's clock is", (context) => {
  context.mock.timers.enable({ apis: ["Date"], now: Date.UTC(2026, 0, 1, 3) });
  clock.set("2026-01-01T00:00:00Z");
  context.mock.timers.setTime(Date.UTC(2026, 0, 1, 3, 0, 10));
  assert.equal(clock.now(), Date.UTC(2026, 0, 1, 0, 0, 10));
  clock.set("nonsense");
  assert.equal(clock.now(), Date.UTC(2026, 0, 1, 0, 0, 10));
});
