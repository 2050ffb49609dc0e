import assert from "node:assert/strict";
import { test } from "node:test";

import { backOff, isFinal } from "../src/closing.js";

test("4500 to 4999 need a person, every other code is tried again", () => {
  for (const code of [4500, 4501, 4503, 4514, 4999]) assert.equal(isFinal(code), true, `${code}`);
  for (const code of [1000, 1001, 1005, 1006, 1011, 1012, 1013, 4000, 4008, 4029, 4499]) {
    assert.equal(isFinal(code), false, `${code}`);
  }
});

test("the wait is jittered in full, doubles, and ends at 30 s", () => {
  const most = (/** @type {number} */ failures) => backOff(failures, { random: () => 1 });
  assert.deepEqual([0, 1, 2, 5, 6, 40].map(most), [500, 1000, 2000, 16_000, 30_000, 30_000]);
  assert.equal(backOff(6, { random: () => 0 }), 0);
});

test("the server's wish is kept", () => {
  assert.equal(backOff(0, { atLeast: 3700, random: () => 1 }), 3700);
});
