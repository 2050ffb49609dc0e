import assert from "node:assert/strict";
import { test } from "node:test";

import { left } from "../src/countdown.js";

const HOUR = 3_600_000;

// dashboard-31
test("what is left, in the two greatest units of the page's language", () => {
  assert.equal(left(42_000, 0, "en"), "42 sec");
  assert.equal(left(243_000, 0, "en"), "4 min 3 sec");
  assert.equal(left(2 * HOUR + 59_000, 0, "en"), "2 hr 0 min");
  assert.equal(left(50 * HOUR, 0, "en"), "2 days 2 hr");
  assert.equal(left(243_000, 0, "de"), "4 Min., 3 Sek.");
});

// dashboard-31
test("begun seconds count, and nothing is left once the time has come", () => {
  assert.equal(left(1, 0, "en"), "1 sec");
  assert.equal(left(0, 0, "en"), "");
  assert.equal(left(0, HOUR, "en"), "");
});
