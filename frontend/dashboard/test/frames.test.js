import assert from "node:assert/strict";
import { test } from "node:test";

import { distance, isOlder, maySupersede, readHeader } from "../src/frames.js";

const FRAME =
  '<dl id="counters" data-filter="f1" hx-swap-oob="morph">…</dl>' +
  '<data id="cursor" value="k3f9.1984" data-filter="f1" data-period="today" hx-swap-oob="morph"></data>';

test("a frame says its cursor and its filters", () => {
  assert.deepEqual(readHeader(FRAME), { cursor: "k3f9.1984", filter: "f1" });
});

test("markup without a cursor is no frame", () => {
  assert.equal(readHeader("<p>hello</p>"), null);
});

// dashboard-56
test("an older cursor never goes over a newer one", () => {
  assert.equal(isOlder("k3f9.9", "k3f9.10"), true);
  assert.equal(isOlder("k3f9.10", "k3f9.10"), false);
  assert.equal(maySupersede({ cursor: "k3f9.9", filter: "f" }, { cursor: "k3f9.10", filter: "f" }), false);
  assert.equal(maySupersede({ cursor: "k3f9.11", filter: "f" }, { cursor: "k3f9.10", filter: "f" }), true);
});

test("numbers beyond what a double holds are told apart", () => {
  assert.equal(isOlder("k3f9.9007199254740992", "k3f9.9007199254740993"), true);
});

test("a cursor of another epoch is not older: the log was renumbered", () => {
  assert.equal(isOlder("aaaa.1", "bbbb.900"), false);
});

// dashboard-22
test("a frame of other filters is not shown", () => {
  assert.equal(maySupersede({ cursor: "k3f9.11", filter: "old" }, { cursor: "k3f9.10", filter: "new" }), false);
});

test("what lies between two places is counted within one epoch", () => {
  assert.equal(distance("k3f9.10", "k3f9.224"), 214);
  assert.equal(distance("k3f9.10", "k3f9.8"), 0);
  assert.equal(distance("aaaa.1", "bbbb.900"), 0);
});
