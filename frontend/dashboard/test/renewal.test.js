import assert from "node:assert/strict";
import { test } from "node:test";

import { isDue } from "../src/renewal.js";

/** @returns {Pick<Storage, "getItem" | "setItem">} */
function store() {
  /** @type {Map<string, string>} */
  const kept = new Map();
  return { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => void kept.set(key, value) };
}

test("new files are a reason to load anew once, and again when they are others", () => {
  const tab = store();
  assert.equal(isDue({ assets: "b" }, tab), true);
  assert.equal(isDue({ assets: "b" }, tab), false);
  assert.equal(isDue({ assets: "c" }, tab), true);
});

test("changed permissions always are one", () => {
  const tab = store();
  assert.equal(isDue({}, tab), true);
  assert.equal(isDue({}, tab), true);
});
