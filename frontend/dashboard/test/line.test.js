import assert from "node:assert/strict";
import { test } from "node:test";

import { Line } from "../src/line.js";

test("what is delivered arrives as a socket's message does", () => {
  const line = new Line({ send: () => {}, close: () => {} });
  /** @type {unknown[]} */
  const heard = [];
  line.addEventListener("message", (event) => heard.push(/** @type {MessageEvent} */ (event).data));
  line.deliver("<p></p>");
  assert.deepEqual(heard, ["<p></p>"]);
});

test("it looks open, so that the extension sends at once and queues nothing", () => {
  /** @type {string[]} */
  const sent = [];
  const line = new Line({ send: (text) => sent.push(text), close: () => {} });
  assert.equal(line.readyState, line.OPEN);
  line.send("hello");
  assert.deepEqual(sent, ["hello"]);
});
