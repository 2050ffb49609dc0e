import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { play } from "./playing.js";
import { SKIP } from "./server.js";

const AT_ONCE = 12;
const FILE = new URL("../../../tests/protocol/scenarios.json", import.meta.url);

/** @type {import("./playing.js").Scenario[]} */
const scenarios = SKIP ? [] : JSON.parse(await readFile(FILE, "utf8")).scenarios;

for (const transport of /** @type {const} */ (["ws", "sse", "poll"])) {
  test(`scenarios go as the file says, over ${transport}`, { skip: SKIP }, async () => {
    const chosen = scenarios.map((scenario, number) => ({ scenario, number }));
    const queue = chosen.filter(
      ({ scenario: { transports, client } }) => transports.includes(transport) && !(transport === "ws" && client.token),
    );
    /** @type {Record<string, any>} */
    const failed = {};
    let count = 0;
    const work = async () => {
      for (let next = queue.shift(); next; next = queue.shift()) {
        const { found, expected } = await play(next.scenario, next.number, transport);
        if (!isDeepStrictEqual(found, expected)) failed[next.scenario.name] = { found, expected };
        count += 1;
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    assert.deepEqual(failed, {});
    assert.ok(count > 40);
  });
}
