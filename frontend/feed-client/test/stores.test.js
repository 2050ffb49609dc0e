import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { storageStore } from "../src/index.js";
import { fileStore } from "../src/node.js";

test("a file keeps the last cursor, and nothing beside it", async () => {
  const directory = await mkdtemp(join(tmpdir(), "feed-client-"));
  try {
    const path = join(directory, "feed.cursor");
    const store = fileStore(path);
    assert.equal(await store.load(), null);
    await store.save("k3f9.1");
    await store.save("k3f9.2");
    assert.equal(await fileStore(path).load(), "k3f9.2");
    assert.equal(await readFile(path, "utf8"), "k3f9.2\n");
    assert.deepEqual(await readdir(directory), ["feed.cursor"]);
    await assert.rejects(Promise.resolve(fileStore(join(directory, "none", "x")).save("k3f9.3")), { code: "ENOENT" });
    await writeFile(path, "");
    assert.equal(await store.load(), null);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("a browser's storage keeps the last cursor", async () => {
  const map = new Map();
  const storage = /** @type {Storage} */ (
    /** @type {unknown} */ ({
      getItem: (/** @type {string} */ key) => map.get(key) ?? null,
      setItem: map.set.bind(map),
    })
  );
  const store = storageStore(storage, "mine");
  assert.equal(await store.load(), null);
  await store.save("k3f9.2");
  assert.equal(await storageStore(storage, "mine").load(), "k3f9.2");
});
